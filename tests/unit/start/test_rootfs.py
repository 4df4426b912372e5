"""The container's root: what is written where, and what is refused."""

import os
import resource
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from gpudock.errors import HostError, RefusedError
from gpudock.start.rootfs import OccupiedError, Rootfs, VolumeError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/file").write_text("content")
    return root


@pytest.fixture
def root(folder: Path, resolve: Callable[..., int]) -> Rootfs:
    return Rootfs(str(folder), resolve)


def test_a_root_must_be_a_folder_and_no_link(folder: Path) -> None:
    (folder / "link").symlink_to(folder / "etc")
    for path in ("etc/file", "link", "nothing"):
        with pytest.raises(HostError, match="cannot be opened"):
            Rootfs(str(folder / path))


def test_read(root: Rootfs, folder: Path) -> None:
    (folder / "etc/link").symlink_to("/etc/file")
    assert root.read("/etc/file", 100) == b"content"
    assert root.read("/etc/link", 7) == b"content"
    assert root.read("/etc/nothing", 100) is None
    assert root.read("/nothing/nothing", 100) is None


def test_read_is_capped(root: Rootfs, folder: Path) -> None:
    with pytest.raises(RefusedError, match="/etc/file in this container is larger than 6 bytes"):
        root.read("/etc/file", 6)
    with (folder / "etc/sparse").open("wb") as file:
        file.truncate(2 << 30)
    with pytest.raises(RefusedError, match="larger"):
        root.read("/etc/sparse", 1 << 20)


def test_only_plain_files_are_opened(root: Rootfs, folder: Path) -> None:
    os.mkfifo(folder / "etc/fifo")
    for path in ("/etc/fifo", "/etc"):
        with pytest.raises(RefusedError, match="is not a plain file"):
            root.read(path, 100)
    with pytest.raises(RefusedError, match="cannot be reached"):
        root.read("/etc/file/below", 100)


def test_opened(root: Rootfs, folder: Path) -> None:
    (folder / "etc/link").symlink_to("/etc/file")
    fd = root.opened("/etc/link")
    assert fd is not None
    assert os.pread(fd, 100, 3) == b"tent"
    os.close(fd)
    assert root.opened("/etc/nothing") is None
    os.mkfifo(folder / "etc/fifo")
    for path in ("/etc/fifo", "/etc"):
        with pytest.raises(RefusedError, match="is not a plain file"):
            root.opened(path)


def test_names(root: Rootfs, folder: Path) -> None:
    (folder / "etc/link").symlink_to("/nowhere")
    assert root.names("/etc", 2) == ["file", "link"]
    assert root.names("/nothing", 2) is None
    with pytest.raises(RefusedError, match="/etc in this container holds more than 1 files"):
        root.names("/etc", 1)
    with pytest.raises(RefusedError, match="/etc/file in this container is not a folder"):
        root.names("/etc/file", 1)
    with pytest.raises(RefusedError, match="cannot be reached"):
        root.names("/etc/file/x", 1)


def test_stat(root: Rootfs, folder: Path) -> None:
    found = root.stat("/etc/file")
    assert found is not None
    assert found.st_ino == (folder / "etc/file").stat().st_ino
    assert root.stat("/etc/file/x") is None
    assert root.stat("/nothing") is None


def test_publish_makes_and_replaces(root: Rootfs, folder: Path) -> None:
    old = (folder / "etc/file").stat().st_ino
    root.publish("/etc/file", b"new")
    root.publish("/a/b/file", b"made", 0o600)
    assert (folder / "etc/file").read_bytes() == b"new"
    assert (folder / "etc/file").stat().st_ino != old, "readers of the old one keep it"
    assert stat.S_IMODE((folder / "etc/file").stat().st_mode) == 0o644
    assert stat.S_IMODE((folder / "a/b/file").stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / "a/b").stat().st_mode) == 0o755
    assert sorted(os.listdir(folder / "etc")) == ["file"]


def test_what_is_made_belongs_to_root_even_below_a_set_group_id_folder(root: Rootfs, folder: Path) -> None:
    if os.geteuid() != 0:
        return  # only root's files can have another group
    (folder / "shared").mkdir()
    os.chown(folder / "shared", 1, 1)
    (folder / "shared").chmod(0o2775)
    root.publish("/shared/made/file", b"")
    for path in ("shared/made", "shared/made/file"):
        assert ((folder / path).stat().st_uid, (folder / path).stat().st_gid) == (0, 0)


def test_publish_follows_the_last_link_inside(root: Rootfs, folder: Path) -> None:
    """Alpine with glibc-compat: /etc/ld.so.cache is a link to the file that its loader reads."""
    (folder / "opt").mkdir()
    (folder / "opt/real").write_text("old")
    (folder / "etc/second").symlink_to("../opt/real")
    (folder / "etc/first").symlink_to("/etc/second")
    root.publish("/etc/first", b"new")
    assert (folder / "opt/real").read_text() == "new"
    assert os.readlink(folder / "etc/first") == "/etc/second"


def test_publish_refuses_dangling_and_looping_links(root: Rootfs, folder: Path) -> None:
    (folder / "etc/dangling").symlink_to("/nowhere")
    (folder / "etc/loop").symlink_to("loop")
    (folder / "etc/odd").symlink_to("/etc/..")
    (folder / "hole").symlink_to("/nowhere")
    for path in ("/etc/dangling", "/etc/loop", "/hole/x/y", "/hole/x"):
        with pytest.raises(RefusedError, match="dangling link"):
            root.publish(path, b"")
    with pytest.raises(RefusedError, match="names no file"):
        root.publish("/etc/odd", b"")
    assert not (folder / "nowhere").exists()


def test_folders_and_files_in_the_way(root: Rootfs, folder: Path) -> None:
    with pytest.raises(OccupiedError, match="/etc is a folder"):
        root.publish("/etc", b"")
    with pytest.raises(OccupiedError, match="/etc is a folder"):
        root.link("/etc", "/x")
    with pytest.raises(RefusedError, match="/etc/file cannot be reached"):
        root.publish("/etc/file/x", b"")
    assert (folder / "etc/file").read_text() == "content"


def test_link(root: Rootfs, folder: Path) -> None:
    root.link("/usr/bin/program", "/usr/local/nvidia/bin/program")
    place = folder / "usr/bin/program"
    assert os.readlink(place) == "/usr/local/nvidia/bin/program"
    before = place.lstat().st_ino
    root.link("/usr/bin/program", "/usr/local/nvidia/bin/program")
    assert place.lstat().st_ino == before, "the same link is left alone"
    root.link("/usr/bin/program", "/other")
    root.link("/etc/file", "/other")
    assert {os.readlink(place), os.readlink(folder / "etc/file")} == {"/other"}
    assert os.listdir(folder / "usr/bin") == ["program"]


def test_no_room_leaves_the_old_file_and_no_other(root: Rootfs, folder: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4, hard))
    try:
        with pytest.raises(HostError, match=r"/etc/file cannot be written.*File too large"):
            root.publish("/etc/file", b"longer than four bytes")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert os.listdir(folder / "etc") == ["file"]
    assert (folder / "etc/file").read_text() == "content"


def test_nothing_is_written_across_a_mount(resolve: Callable[..., int]) -> None:
    """/proc is a mount below "/"; the tests with volumes are in tests/real."""
    whole = Rootfs("/", resolve)
    for path in ("/proc/sys/kernel/nothing", "/proc/version"):
        with pytest.raises(VolumeError, match="the volume on /proc") as raised:
            whole.publish(path, b"")
        assert raised.value.volume.startswith("/proc")
        assert raised.value.exit_code == 5
    with pytest.raises(VolumeError, match="/proc/nothing cannot be written"):
        whole.link("/proc/nothing/deeper", "/x")


def test_nothing_stays_open(folder: Path, resolve: Callable[..., int]) -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    root = Rootfs(str(folder), resolve)
    (folder / "etc/dangling").symlink_to("/nowhere")
    root.publish("/a/b/c", b"")
    root.link("/d/e", "x")
    root.read("/etc/file", 10)
    root.names("/etc", 10)
    for path in ("/etc/dangling", "/a", "/etc/file/x"):
        with pytest.raises(RefusedError):
            root.publish(path, b"")
        with pytest.raises(RefusedError):
            root.names("/etc/file", 10)
    root.close()
    assert sorted(os.listdir("/proc/self/fd")) == before
