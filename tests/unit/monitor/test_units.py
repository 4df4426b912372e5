"""The unit of `gpudock serve --install-units`."""

from pathlib import Path

import pytest

from gpudock.errors import HostError
from gpudock.monitor import units
from gpudock.proc import Result
from unit.recorded import Recorder

PLACE = "etc/systemd/system/gpudock-serve.service"
PROGRAM = "/opt/gpudock/current/bin/gpudock"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "etc/systemd/system").mkdir(parents=True)
    return tmp_path


def test_without_systemd_it_is_written_and_said_to_be_inactive(root: Path) -> None:
    recorder = Recorder({})
    done = units.install(PROGRAM, recorder, root=str(root))
    assert "not active" in done[-1]
    assert f"ExecStart={PROGRAM} serve $GPUDOCK_SERVE_OPTS" in (root / PLACE).read_text()
    assert recorder.asked == []
    assert units.remove(recorder, root=str(root)) == [f"removed /{PLACE}"]
    assert not (root / PLACE).exists()
    assert units.remove(recorder, root=str(root)) == ["there was no unit"]


def test_the_unit_sees_every_device() -> None:
    """A list of devices leaves out all others; ProtectClock makes one, of the machine's clock."""
    for setting in ("DeviceAllow", "DevicePolicy", "PrivateDevices", "ProtectClock"):
        assert f"\n{setting}=" not in units.text(PROGRAM)


def test_with_systemd_it_is_switched_on_and_off(root: Path) -> None:
    (root / "run/systemd/system").mkdir(parents=True)
    recorder = Recorder({("systemctl",): ""})
    assert units.install(PROGRAM, recorder, root=str(root))[-1] == f"switched on {units.NAME}"
    units.remove(recorder, root=str(root))
    assert [each.argv[1] for each in recorder.asked] == ["daemon-reload", "enable", "disable", "daemon-reload"]


def test_a_systemd_that_refuses_is_an_error(root: Path) -> None:
    (root / "run/systemd/system").mkdir(parents=True)
    with pytest.raises(HostError, match="daemon-reload failed"):
        units.install(PROGRAM, Recorder({("systemctl",): Result(1, "", "no")}), root=str(root))
