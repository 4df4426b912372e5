"""The rootfs with its volumes to come: nothing is written where one will lie, and nothing into it."""

import os
import stat
from pathlib import Path

import pytest

from gpudock.start.rootfs import VolumeError
from gpudock.start.volumes import ContainerRoot
from unit.start.configs import Json
from unit.start.traps import digest


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    """rootfs/ and bundle/, and volume/ on the host."""
    for folder in ("rootfs/etc", "rootfs/usr/bin", "rootfs/usr/lib", "bundle", "volume/sub"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "rootfs/lib").symlink_to("usr/lib")
    (tmp_path / "rootfs/etc/file").write_text("the image's")
    (tmp_path / "volume/file").write_text("the volume's")
    return tmp_path


def bind(source: Path | str, destination: str, *options: str) -> dict[str, Json]:
    return {"destination": destination, "type": "bind", "source": str(source), "options": [*options, "rbind"]}


def root_of(stage: Path, *mounts: dict[str, Json]) -> ContainerRoot:
    return ContainerRoot(str(stage / "rootfs"), list(mounts), str(stage / "bundle"))


def test_without_volumes_it_is_the_rootfs(stage: Path) -> None:
    root = root_of(stage, {"destination": "/proc", "type": "proc", "source": "proc"})
    assert root.read("/etc/file", 100) == b"the image's"
    root.publish("/etc/new", b"x")
    root.link("/usr/bin/tool", "/usr/local/nvidia/bin/tool")
    assert (stage / "rootfs/etc/new").read_bytes() == b"x"
    assert os.readlink(stage / "rootfs/usr/bin/tool") == "/usr/local/nvidia/bin/tool"
    assert root.generated == []


@pytest.mark.parametrize("place", ["/etc", "/etc/", "/usr/../etc", "/link"])
def test_a_covered_file_is_generated_from_the_volumes_own(stage: Path, place: str) -> None:
    (stage / "rootfs/link").symlink_to("/etc")
    before = digest(stage / "volume"), digest(stage / "rootfs")
    root = root_of(stage, bind(stage / "volume", place))
    assert root.read("/etc/file", 100) == b"the volume's"
    root.publish("/etc/file", b"both", 0o644)
    assert (digest(stage / "volume"), digest(stage / "rootfs")) == before
    (mount,) = root.generated
    assert mount["destination"] == "/etc/file"
    assert {"bind", "ro", "rprivate", "nosuid", "nodev"} == set(mount["options"])
    made = Path(mount["source"])
    assert made.parent == stage / "bundle"
    assert (made.read_bytes(), stat.S_IMODE(made.stat().st_mode)) == (b"both", 0o644)


def test_generated_twice_is_mounted_once(stage: Path) -> None:
    root = root_of(stage, bind(stage / "volume", "/etc"))
    root.publish("/etc/file", b"1")
    root.publish("/etc/file", b"2")
    assert [Path(each["source"]).read_bytes() for each in root.generated] == [b"2"]


def test_a_single_file_may_be_the_volume(stage: Path) -> None:
    root = root_of(stage, bind(stage / "volume/file", "/etc/file"))
    assert root.read("/etc/file", 100) == b"the volume's"
    root.publish("/etc/file", b"both")
    assert (stage / "volume/file").read_text() == "the volume's"
    root.publish("/etc/beside", b"x")  # that one is the rootfs's
    assert (stage / "rootfs/etc/beside").read_bytes() == b"x"


def test_nothing_is_made_in_a_volume(stage: Path) -> None:
    before = digest(stage / "volume")
    root = root_of(stage, bind(stage / "volume", "/etc"))
    assert root.read("/etc/new", 100) is None
    with pytest.raises(VolumeError, match="volume on /etc covers it"):
        root.publish("/etc/new", b"x")
    with pytest.raises(VolumeError):
        root.publish("/etc/sub", b"x")  # a folder
    with pytest.raises(VolumeError) as found:
        root.link("/etc/sub/link", "/target")
    assert found.value.volume == "/etc"
    assert digest(stage / "volume") == before


def test_a_tmpfs_covers_too(stage: Path) -> None:
    root = root_of(stage, {"destination": "/etc", "type": "tmpfs", "source": "tmpfs", "options": ["rw"]})
    assert root.read("/etc/file", 100) is None
    assert root.stat("/etc/file") is None
    with pytest.raises(VolumeError):
        root.publish("/etc/file", b"x")


def test_the_last_volume_counts(stage: Path) -> None:
    (stage / "other").mkdir()
    (stage / "other/file").write_text("the other's")
    root = root_of(stage, bind(stage / "volume", "/etc"), bind(stage / "other", "/etc"))
    assert root.read("/etc/file", 100) == b"the other's"


def test_links_of_the_image_are_followed_before_volumes_are_compared(stage: Path) -> None:
    (stage / "volume/x.so").write_text("x")
    root = root_of(stage, bind(stage / "volume", "/usr/lib"))
    assert root.stat("/lib/x.so") is not None
    with pytest.raises(VolumeError):
        root.link("/lib/y.so", "/target")


def test_a_volumes_links_lead_nowhere_on_the_host(stage: Path) -> None:
    (stage / "secret").write_text("secret")
    (stage / "volume/out").symlink_to(stage / "secret")
    (stage / "volume/up").symlink_to("../secret")
    root = root_of(stage, bind(stage / "volume", "/etc"))
    assert root.read("/etc/out", 100) is None
    assert root.read("/etc/up", 100) is None


def test_a_fifo_in_a_volume_is_not_read(stage: Path) -> None:
    os.mkfifo(stage / "volume/fifo")
    root = root_of(stage, bind(stage / "volume", "/etc"))
    with pytest.raises(VolumeError):
        root.read("/etc/fifo", 100)


def test_a_source_that_is_gone_is_an_empty_volume(stage: Path) -> None:
    root = root_of(stage, bind(stage / "nothing", "/etc"))
    assert root.read("/etc/file", 100) is None


def test_what_stands_in_the_way_of_a_mount(stage: Path) -> None:
    (stage / "volume/nvidia").mkdir()
    assert root_of(stage).obstacle("/usr/local/nvidia") == ""
    assert root_of(stage, bind(stage / "volume", "/usr/local")).obstacle("/usr/local/nvidia") == ""
    assert root_of(stage, bind(stage / "volume/sub", "/usr/local")).obstacle("/usr/local/nvidia") == "/usr/local"
    assert root_of(stage, bind(stage / "volume", "/usr/local/nvidia")).obstacle("/usr/local/nvidia") == ""
    tmpfs = {"destination": "/usr/local", "type": "tmpfs", "source": "tmpfs"}
    assert root_of(stage, tmpfs).obstacle("/usr/local/nvidia") == ""


def test_a_node_is_not_made_in_a_volume(stage: Path) -> None:
    assert root_of(stage).node_obstacle("/dev/nvidia-caps/nvidia-cap1") == ""
    covered = root_of(stage, bind(stage / "volume", "/dev/nvidia-caps"))
    assert covered.node_obstacle("/dev/nvidia-caps/nvidia-cap1") == "/dev/nvidia-caps"
    (stage / "volume/nvidia-cap1").touch()
    assert covered.node_obstacle("/dev/nvidia-caps/nvidia-cap1") == ""
    assert root_of(stage, bind("/dev", "/dev")).node_obstacle("/dev/nvidia0") == ""  # then runtimes make none
    assert root_of(stage, bind(stage / "volume/file", "/dev/nvidia0")).node_obstacle("/dev/nvidia0") == ""


def test_a_file_that_not_everybody_may_read_is_not_copied(stage: Path) -> None:
    (stage / "volume/file").chmod(0o600)
    with pytest.raises(VolumeError):
        root_of(stage, bind(stage / "volume", "/etc")).read("/etc/file", 100)
