"""Results go where the user said, and nowhere else."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gpudock.cli.output import exported, write
from gpudock.errors import HostError


def test_a_file_is_made_or_replaced(tmp_path: Path) -> None:
    for data in (b"one", b"two"):
        write(str(tmp_path / "out"), data)
        assert (tmp_path / "out").read_bytes() == data
    assert os.listdir(tmp_path) == ["out"]


def test_a_pipe_or_device_stays_what_it_is(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write(str(tmp_path / "pipe"), b"through")
    assert os.read(reader, 100) == b"through"
    os.close(reader)
    assert stat.S_ISFIFO(os.stat(tmp_path / "pipe").st_mode)


def test_a_link_stays_a_link_and_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"old and longer")
    (tmp_path / "link").symlink_to("target")
    write(str(tmp_path / "link"), b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"new"


def test_a_mistyped_path_makes_no_folders(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="cannot be written"):
        write(str(tmp_path / "no/such/out"), b"")
    assert os.listdir(tmp_path) == []


@contextmanager
def ending_with(error: BaseException | None) -> Iterator[Callable[[int], bytes]]:
    """As proc.reading: that the program failed is known after all that it said."""
    parts = [b"half"]
    yield lambda _: parts.pop() if parts else b""
    if error:
        raise error


@pytest.mark.parametrize("error", [HostError("docker export failed."), KeyboardInterrupt()])
def test_a_stream_that_broke_off_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    (tmp_path / "all.tar").write_bytes(b"before")
    with pytest.raises(type(error)):
        exported(ending_with(error), str(tmp_path / "all.tar"))
    assert os.listdir(tmp_path) == ["all.tar"]
    assert (tmp_path / "all.tar").read_bytes() == b"before"
    exported(ending_with(None), str(tmp_path / "all.tar"))
    assert (tmp_path / "all.tar").read_bytes() == b"half"
    assert os.listdir(tmp_path) == ["all.tar"]
