import os
import stat
from pathlib import Path

import pytest

from gpudock.env import devices
from gpudock.errors import HostError


def test_that_there_is_no_camera_is_said_and_no_error(tmp_path: Path) -> None:
    found = devices.find(("camera", "usb"), str(tmp_path))
    assert found.flags == ()
    assert found.notes == (
        f"there is no camera on this machine: no {tmp_path}/video*",
        f"there is no USB on this machine: no {tmp_path}/bus/usb",
    )


def test_a_file_that_is_called_as_a_camera_is_none(tmp_path: Path) -> None:
    (tmp_path / "video0").write_text("")
    assert devices.find(("camera",), str(tmp_path)).flags == ()


def test_every_camera_and_its_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("video0", "video1", "videos"):
        (tmp_path / name).write_text("")
    real = os.stat

    def told(path: str) -> os.stat_result:
        found = list(real(path))
        if "/video" in str(path):
            found[0], found[5] = stat.S_IFCHR | 0o660, 44
        return os.stat_result(found)

    monkeypatch.setattr(os, "stat", told)
    found = devices.find(("camera",), str(tmp_path))
    assert found.flags == ("--device", f"{tmp_path}/video0", "--device", f"{tmp_path}/video1")
    assert found.groups == (44,)
    alone = devices.without_root(found)
    assert (alone.flags, alone.groups) == (found.flags, ())
    assert f"setfacl -m u:$USER:rw {tmp_path}/video0 {tmp_path}/video1" in alone.notes[0]


def test_usb_that_is_plugged_in_later_appears_too(tmp_path: Path) -> None:
    (tmp_path / "bus/usb/001").mkdir(parents=True)
    found = devices.find(("usb",), str(tmp_path))
    assert found.flags == ("-v", f"{tmp_path}/bus/usb:/dev/bus/usb", "--device-cgroup-rule", "c 189:* rmw")
    assert devices.without_root(found) == devices.Devices(found.flags[:2])


def test_a_path_that_is_not_there_is_an_error() -> None:
    with pytest.raises(HostError, match="ttyACM77"):
        devices.find(("/dev/ttyACM77",))
    assert devices.find(("/dev/null:/dev/x",)).flags == ("--device", "/dev/null:/dev/x")
