"""The systemd units."""

from pathlib import Path

import pytest

from gpudock.compat import plugin_unit
from gpudock.errors import HostError, UsageError
from gpudock.proc import Result
from unit.recorded import Recorder

PROGRAM = "/opt/gpudock/current/bin/gpudock"


def test_the_daemons_unit(tmp_path: Path) -> None:
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    run = Recorder({("systemctl",): ""})
    units = plugin_unit.daemon(PROGRAM)
    done = plugin_unit.install(units, run, str(tmp_path))
    text = (tmp_path / "etc/systemd/system/nvidia-docker.service").read_text()
    assert f"ExecStart={PROGRAM} volume serve $NVIDIA_DOCKER_PLUGIN_OPTS\n" in text
    assert "EnvironmentFile=-/etc/default/nvidia-docker\n" in text
    assert [command.argv[1:] for command in run.asked] == [
        ("daemon-reload",),
        ("enable", "--now", "nvidia-docker.service"),
    ]
    assert done[-1] == "switched on nvidia-docker.service"
    assert plugin_unit.remove(units, run, str(tmp_path)) == ["removed /etc/systemd/system/nvidia-docker.service"]
    assert run.asked[2].argv == ("systemctl", "disable", "--now", "nvidia-docker.service")
    assert plugin_unit.remove(units, run, str(tmp_path)) == ["there were no units"]


def test_the_units_that_follow(tmp_path: Path) -> None:
    units = plugin_unit.following(PROGRAM, "/var/run/cdi/gpudock.json", "/var/lib/100%")
    assert "not active" in plugin_unit.install(units, Recorder({}), str(tmp_path))[-1]
    folder = tmp_path / "etc/systemd/system"
    assert (
        f'ExecStart={PROGRAM} volume create --quiet --volumes "/var/lib/100%%"\n'
        in (folder / "gpudock-volume.service").read_text()
    )
    assert "PathChanged=/var/run/cdi/gpudock.json\n" in (folder / "gpudock-volume.path").read_text()
    with pytest.raises(UsageError):
        plugin_unit.following(PROGRAM, "/spec", '/a"b')


def test_what_systemd_says_is_told(tmp_path: Path) -> None:
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    run = Recorder({("systemctl", "daemon-reload"): "", ("systemctl", "enable"): Result(1, "", "Unit is masked.\n")})
    with pytest.raises(HostError) as caught:
        plugin_unit.install(plugin_unit.daemon(PROGRAM), run, str(tmp_path))
    assert caught.value.why == "Unit is masked."
