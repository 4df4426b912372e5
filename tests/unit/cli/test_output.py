"""Results go where the user said, and nowhere else."""

import os
import stat
from pathlib import Path

import pytest

from gpudock.cli.output import write
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
