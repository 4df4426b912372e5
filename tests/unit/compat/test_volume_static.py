"""Fixed folders that follow the driver."""

import os
from pathlib import Path

import pytest

from gpudock.compat import volume_static
from gpudock.compat.volume_name import VolumeError
from gpudock.errors import InputError, RefusedError, UsageError
from unit.compat import fixture_gpus
from unit.compat.fixture_gpus import VERSION
from unit.compat.test_volume import NAME, Host


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_it_follows_and_what_was_opened_stays(host: Host) -> None:
    fixed = host.folder / "nvidia"
    assert volume_static.keep(host.volumes, str(fixed), host.plan()) == [f"{fixed} shows driver {VERSION}"]
    assert (fixed / f"lib64/libcuda.so.{VERSION}").is_file()
    assert volume_static.follow(host.volumes, host.plan()) == []
    mounted = os.open(fixed, os.O_PATH)
    newer = fixture_gpus.plan(fixture_gpus.tree(host.folder / "newer", "580.1"), "580.1")
    assert volume_static.follow(host.volumes, newer) == [f"{fixed} shows driver 580.1"]
    assert {path.name for path in (fixed / "lib64").iterdir() if path.is_file() and not path.is_symlink()} == {
        "libcuda.so.580.1",
        "libGLX_nvidia.so.580.1",
    }
    assert Path(f"/proc/self/fd/{mounted}/lib64/libcuda.so.{VERSION}").exists()
    os.close(mounted)


def test_its_volume_cannot_be_removed(host: Host) -> None:
    fixed = str(host.folder / "nvidia")
    volume_static.keep(host.volumes, fixed, host.plan())
    with pytest.raises(VolumeError, match="in use") as caught:
        host.volumes.remove(NAME)
    assert caught.value.why == fixed
    assert volume_static.drop(host.volumes, fixed) == [f"removed {fixed}"]
    assert not os.path.lexists(fixed)
    host.volumes.remove(NAME)
    with pytest.raises(RefusedError, match="not kept"):
        volume_static.drop(host.volumes, fixed)


def test_what_is_there_already_is_left_alone(host: Host) -> None:
    (host.folder / "driver").mkdir()
    (host.folder / "link").symlink_to("/usr")
    for name in ("driver", "link"):
        with pytest.raises(RefusedError, match="is there already"):
            volume_static.keep(host.volumes, f"{host.folder}/{name}", host.plan())
    for folder in ("/", f"{host.folder}/missing/nvidia", f"{host.volumes.folder}/nvidia_driver/1.0"):
        with pytest.raises(UsageError):
            volume_static.keep(host.volumes, folder, host.plan())
    (host.folder / "open").mkdir()
    (host.folder / "open").chmod(0o777)
    with pytest.raises(RefusedError, match="replaced by others"):
        volume_static.keep(host.volumes, f"{host.folder}/open/nvidia", host.plan())
    assert volume_static.follow(host.volumes, host.plan()) == []


def test_one_that_somebody_replaced_is_not_overwritten(host: Host) -> None:
    fixed = host.folder / "nvidia"
    volume_static.keep(host.volumes, str(fixed), host.plan())
    fixed.unlink()
    fixed.mkdir()
    with pytest.raises(RefusedError, match="no longer a link"):
        volume_static.follow(host.volumes, host.plan())
    assert fixed.is_dir()
    assert volume_static.drop(host.volumes, str(fixed)) == []
    assert fixed.is_dir()


def test_a_broken_record_is_said(host: Host) -> None:
    Path(host.volumes.folder, "static.json").write_text("{")
    with pytest.raises(InputError, match=r"static\.json"):
        volume_static.follow(host.volumes, host.plan())
