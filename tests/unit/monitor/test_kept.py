"""Cgroup files that stay open: what is read is of now, and nothing stays open that nobody reads."""

import errno
import os
from pathlib import Path

import pytest

from gpudock.host.root import Root
from gpudock.monitor import kept
from gpudock.monitor.kept import Kept


class Counted(Root):
    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder))
        self.opened: list[int] = []

    def open(self, path: str) -> int:
        self.opened.append(super().open(path))
        return self.opened[-1]


def is_open(fd: int) -> bool:
    return os.path.exists(f"/proc/self/fd/{fd}")


@pytest.fixture
def root(tmp_path: Path) -> Counted:
    (tmp_path / "a").write_text("1\n")
    (tmp_path / "b").write_text("2\n")
    return Counted(tmp_path)


def test_a_file_is_opened_once_and_each_reading_is_of_now(root: Counted, tmp_path: Path) -> None:
    files = Kept(root)
    found = []
    for value in ("1\n", "23456\n", "", "7\n"):
        (tmp_path / "a").write_text(value)
        found.append(files.text("/a"))
        files.sweep()
    assert found == ["1\n", "23456\n", "", "7\n"]
    assert len(root.opened) == 1


def test_what_was_not_read_since_the_last_sweep_is_closed(root: Counted) -> None:
    files = Kept(root)
    files.text("/a")
    files.text("/b")
    files.sweep()
    files.text("/b")
    files.sweep()
    assert [is_open(fd) for fd in root.opened] == [False, True]
    files.sweep()
    assert [is_open(fd) for fd in root.opened] == [False, False]


def test_a_cgroup_that_is_gone_is_not_read_and_another_of_its_name_is(
    root: Counted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, pread, gone = Kept(root), os.pread, iter([True])
    assert files.text("/a") == "1\n"

    def kernel(fd: int, size: int, offset: int) -> bytes:
        if next(gone, False):
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))  # as of a cgroup that was removed
        return pread(fd, size, offset)

    monkeypatch.setattr("os.pread", kernel)
    (tmp_path / "new").write_text("another\n")
    (tmp_path / "new").rename(tmp_path / "a")
    assert files.text("/a") == "another\n"
    gone = iter([True])
    (tmp_path / "a").unlink()
    assert files.text("/a") is None


def test_beyond_a_number_files_are_read_and_not_kept(
    root: Counted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "MOST", 1)
    files = Kept(root)
    assert [files.text(path) for path in ("/a", "/b", "/b", "/a")] == ["1\n", "2\n", "2\n", "1\n"]
    assert [is_open(fd) for fd in root.opened] == [True, False, False]
    (tmp_path / "b").write_text("3\n")
    assert files.text("/b") == "3\n"
