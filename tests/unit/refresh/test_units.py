"""systemd units and the udev rule."""

import configparser
import os
from pathlib import Path

import pytest

from gpudock.errors import HostError
from gpudock.proc import Result
from gpudock.refresh import units
from unit.recorded import Recorder

PROGRAM = "/opt/gpudock/current/bin/gpudock"
NAMES = [
    "etc/systemd/system/gpudock-refresh.path",
    "etc/systemd/system/gpudock-refresh.service",
    "etc/udev/rules.d/60-gpudock.rules",
]


def parsed(text: str) -> configparser.ConfigParser:
    """As systemd reads it, but without repeated keys."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    return parser


def installed(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_the_service_runs_before_every_engine() -> None:
    service = parsed(next(file.text for file in units.files(PROGRAM) if file.path.endswith(".service")))
    assert service["Service"]["ExecStart"] == f"{PROGRAM} refresh --quiet"
    assert service["Service"]["Type"] == "oneshot"
    assert {"docker.service", "containerd.service", "podman-restart.service", "kubelet.service"} <= set(
        service["Unit"]["Before"].split()
    )
    assert "docker.service" not in service["Unit"]["After"].split()


def test_the_path_unit_starts_that_service_and_the_rule_too() -> None:
    path, rule = (
        next(file.text for file in units.files(PROGRAM) if file.path.endswith(end)) for end in (".path", ".rules")
    )
    assert parsed(path)["Path"]["Unit"] == "gpudock-refresh.service"
    assert 'KERNEL=="nvidia|nvidia_uvm|nvidia_modeset|nvidia_drm|nvidia_current*"' in rule
    assert 'ENV{SYSTEMD_WANTS}+="gpudock-refresh.service"' in rule


def test_with_systemd_they_are_switched_on(tmp_path: Path) -> None:
    os.makedirs(tmp_path / "run/systemd/system")
    os.makedirs(tmp_path / "run/udev/control")
    recorder = Recorder({("systemctl",): "", ("udevadm",): ""})
    done = units.install(PROGRAM, recorder, str(tmp_path))
    assert installed(tmp_path) == NAMES
    assert [command.argv[:2] for command in recorder.asked] == [
        ("systemctl", "daemon-reload"),
        ("systemctl", "enable"),
        ("udevadm", "control"),
    ]
    assert "switched on" in done[-1]


def test_without_udev_its_rule_is_only_written(tmp_path: Path) -> None:
    os.makedirs(tmp_path / "run/systemd/system")
    recorder = Recorder({("systemctl",): ""})
    done = units.install(PROGRAM, recorder, str(tmp_path))
    assert installed(tmp_path) == NAMES
    assert "udev does not run here" in done[-1]


def test_without_systemd_they_are_only_written(tmp_path: Path) -> None:
    recorder = Recorder({})
    done = units.install(PROGRAM, recorder, str(tmp_path))
    assert installed(tmp_path) == NAMES
    assert recorder.asked == []
    assert "not active" in done[-1]


def test_what_systemd_says_is_passed_on(tmp_path: Path) -> None:
    os.makedirs(tmp_path / "run/systemd/system")
    with pytest.raises(HostError, match="systemctl daemon-reload failed") as caught:
        units.install(PROGRAM, Recorder({("systemctl",): Result(1, "", "Access denied\n")}), str(tmp_path))
    assert caught.value.why == "Access denied"
