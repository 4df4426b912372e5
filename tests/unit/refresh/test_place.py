"""Ways to put a file into the driver tree that need neither root nor a special file system. Mounts: tests/real."""

import os
import stat
from pathlib import Path

import pytest

from gpudock.errors import HostError
from gpudock.refresh.place import Way, mounted_below, place


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(b"driver" * 1000)
    path.chmod(0o4711)
    os.utime(path, ns=(1, 1234567891234567891))
    return path


def test_a_hard_link_is_the_very_file(source: Path, tmp_path: Path) -> None:
    assert place(str(source), str(tmp_path / "target")) == "link"
    assert (tmp_path / "target").samefile(source)


def test_a_copy_is_readable_never_setuid_and_of_the_same_time(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    assert place(str(source), str(target), ("copy",)) == "copy"
    assert target.read_bytes() == source.read_bytes()
    assert not target.samefile(source)
    assert stat.S_IMODE(target.stat().st_mode) == 0o755
    assert target.stat().st_mtime_ns == source.stat().st_mtime_ns
    source.chmod(0o600)
    place(str(source), str(tmp_path / "library"), ("copy",))
    assert stat.S_IMODE((tmp_path / "library").stat().st_mode) == 0o644


@pytest.mark.parametrize("ways", [("reflink", "copy"), ("copy",)])
def test_the_next_way_is_taken_where_the_file_system_cannot(
    source: Path, tmp_path: Path, ways: tuple[Way, ...]
) -> None:
    """On ext4 and tmpfs a reflink fails with EOPNOTSUPP; on XFS and Btrfs it works. Either way there is one file."""
    assert place(str(source), str(tmp_path / "target"), ways) in ways
    assert (tmp_path / "target").read_bytes() == source.read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["source", "target"]


def test_another_file_system_is_another_way(source: Path) -> None:
    shared = Path("/dev/shm")
    target = shared / f"gpudock-test-{os.getpid()}"
    assert shared.stat().st_dev != source.stat().st_dev
    try:
        assert place(str(source), str(target), ("link", "copy")) == "copy"
    finally:
        target.unlink()


def test_a_source_that_is_gone_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=str(tmp_path / "gone")) as caught:
        place(str(tmp_path / "gone"), str(tmp_path / "target"), ("link", "reflink", "copy"))
    assert caught.value.why == "No such file or directory"
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("way", ["reflink", "copy"])
def test_what_took_the_sources_place_is_neither_followed_nor_waited_for(tmp_path: Path, way: Way) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "link").symlink_to("secret")
    os.mkfifo(tmp_path / "fifo")
    for name in ("link", "fifo"):
        with pytest.raises(HostError):
            place(str(tmp_path / name), str(tmp_path / "target"), (way,))
        assert not (tmp_path / "target").exists()


def test_mounts_below_a_folder() -> None:
    assert "/proc" in mounted_below("/")
    assert "/proc" not in mounted_below("/proc")
