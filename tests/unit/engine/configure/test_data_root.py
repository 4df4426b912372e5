"""Docker's data in another folder."""

import os
from pathlib import Path

import pytest

from gpudock.engine.configure import data_root
from gpudock.errors import HostError, RefusedError
from gpudock.proc import Command, Result, run

MOUNTS = "/dev/sda1 / ext4 rw 0 0\nserver:/x /net nfs4 rw 0 0\n"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    folder = tmp_path / "old"
    (folder / "image").mkdir(parents=True)
    (folder / "image/layer").write_text("data")
    (folder / "link").symlink_to("image/layer")
    os.link(folder / "image/layer", folder / "same")
    return folder


def test_copied_whole_and_the_old_one_stays(tmp_path: Path, old: Path) -> None:
    new = tmp_path / "srv/docker"
    new.mkdir(parents=True)
    (tmp_path / "srv/docker.gpudock-copying").mkdir()  # of a copy that was interrupted
    move = data_root.plan(str(old), str(new), MOUNTS)
    move.apply(run)
    assert (new / "image/layer").read_text() == (old / "image/layer").read_text() == "data"
    assert os.readlink(new / "link") == "image/layer"
    assert (new / "same").stat().st_nlink == 2
    assert os.listdir(tmp_path / "srv") == ["docker"]
    assert move.after.endswith(f"rm -rf {old}")


def test_a_copy_that_fails_leaves_nothing(tmp_path: Path, old: Path) -> None:
    def full(command: Command) -> Result:
        os.mkdir(command.argv[-1])
        return Result(1, "", "cp: error writing: No space left on device")

    with pytest.raises(HostError) as told:
        data_root.plan(str(old), str(tmp_path / "new"), MOUNTS).apply(full)
    assert "No space left" in told.value.why
    assert os.listdir(tmp_path) == ["old"]


def test_nothing_to_copy(tmp_path: Path, old: Path) -> None:
    assert not data_root.plan(str(old), str(old), MOUNTS).copy
    assert not data_root.plan(str(tmp_path / "missing"), str(tmp_path / "new"), MOUNTS).copy


def test_where_data_must_not_lie(tmp_path: Path, old: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "file").touch()
    bad = [str(old / "inside"), str(tmp_path), "/usr/docker", "/net/docker", str(full)]
    for new in bad:
        with pytest.raises(RefusedError):
            data_root.plan(str(old), new, MOUNTS)
    with pytest.raises(RefusedError, match="do not fit"):
        data_root.plan(str(old), str(tmp_path / "new"), MOUNTS, size=1 << 60)


def test_the_deepest_and_last_mount_counts() -> None:
    mounts = MOUNTS + "tmpfs /srv\\040data tmpfs rw 0 0\nx /srv\\040data xfs rw 0 0\n"
    assert data_root.file_system("/srv data/docker", mounts) == "xfs"
    assert data_root.file_system("/network", mounts) == "ext4"
