"""Changes of files."""

import os
import stat
from pathlib import Path

import pytest

from gpudock.engine.configure import change, work
from gpudock.engine.configure.change import FileChange
from gpudock.errors import HostError, RefusedError
from unit.recorded import fill

PATH = "/etc/docker/daemon.json"


def test_a_changed_file_keeps_its_owner_and_mode_and_the_old_one_lies_beside_it(tmp_path: Path) -> None:
    root = fill(tmp_path, {PATH: "old\n"})
    real = tmp_path / PATH[1:]
    real.chmod(0o640)
    owner = (65534, 65534) if os.geteuid() == 0 else (os.getuid(), os.getgid())
    os.chown(real, *owner)
    changed = FileChange(change.read(root, PATH), b"new\n", keep=True)
    assert changed.describe() == f"--- {PATH}\n+++ {PATH}\n@@ -1 +1 @@\n-old\n+new"
    changed.apply()
    backup = tmp_path / "etc/docker/daemon.json.before-gpudock"
    for path, data in ((real, b"new\n"), (backup, b"old\n")):
        info = path.stat()
        assert path.read_bytes() == data
        assert (stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid) == (0o640, *owner)
    assert change.read(root, PATH).before() == b"old\n"
    changed.revert()
    assert real.read_bytes() == b"old\n"
    assert os.listdir(real.parent) == ["daemon.json"]


@pytest.mark.parametrize("meanwhile", [b"theirs\n", None])
def test_what_somebody_else_has_changed_meanwhile_is_not_overwritten(tmp_path: Path, meanwhile: bytes | None) -> None:
    real = tmp_path / PATH[1:]

    def somebody() -> None:
        real.unlink()
        if meanwhile is not None:
            real.write_bytes(meanwhile)

    root = fill(tmp_path, {PATH: "old\n"})
    changed = FileChange(change.read(root, PATH), b"new\n", keep=True)
    left = sorted(["daemon.json", "daemon.json.before-gpudock"][meanwhile is None :])
    somebody()
    with pytest.raises(RefusedError, match=f"{PATH} has changed meanwhile") as told:
        changed.apply()
    assert told.value.mend == "run it again"
    assert os.listdir(real.parent) == ([] if meanwhile is None else ["daemon.json"])
    real.write_bytes(b"old\n")
    changed.apply()
    somebody()
    with pytest.raises(RefusedError, match="has changed meanwhile"):
        changed.revert()
    assert sorted(os.listdir(real.parent)) == left  # what it was before gpudock is still known
    assert (real.read_bytes() if real.exists() else None) == meanwhile


def test_a_file_that_somebody_else_has_made_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    root = fill(tmp_path, {"/etc/docker/key.json": ""})
    changed = FileChange(change.read(root, PATH), b"{}\n")
    (tmp_path / PATH[1:]).write_text("theirs")
    with pytest.raises(RefusedError, match="has changed meanwhile"):
        changed.apply()
    assert (tmp_path / PATH[1:]).read_text() == "theirs"


def test_several_steps_of_one_file_go_on_from_each_other(tmp_path: Path) -> None:
    file = change.read(fill(tmp_path, {PATH: "old"}), PATH)
    first = FileChange(file, b"one", keep=True)
    first.apply()
    FileChange(file, b"two").apply()
    first.revert()
    assert (tmp_path / PATH[1:]).read_bytes() == b"old"
    (tmp_path / PATH[1:]).write_bytes(b"two")  # a step that is long past
    with pytest.raises(RefusedError):
        first.apply()


def test_one_that_cannot_be_taken_back_does_not_keep_the_others(tmp_path: Path) -> None:
    root = fill(tmp_path, {PATH: "old", "/etc/other": "old"})
    changes = [FileChange(change.read(root, path), b"new") for path in ("/etc/other", PATH)]
    work.make(changes)
    (tmp_path / PATH[1:]).write_text("theirs")
    with pytest.raises(RefusedError, match=PATH):
        work.take_back(changes)
    assert (tmp_path / "etc/other").read_text() == "old"


def test_a_file_that_was_not_there_goes_again(tmp_path: Path) -> None:
    root = fill(tmp_path, {"/etc/hostname": "x"})
    changed = FileChange(change.read(root, PATH), b"{}\n", keep=True)
    assert changed.describe().startswith(f"--- /dev/null\n+++ {PATH}\n")
    changed.apply()
    assert change.read(root, PATH).before() == b""
    FileChange(change.read(root, PATH), None, forget=True).apply()
    assert os.listdir(tmp_path / "etc/docker") == []


def test_a_link_is_followed_inside_the_root_and_stays_a_link(tmp_path: Path) -> None:
    root = fill(tmp_path, {"/srv/docker.json": "old"}, {PATH: "/srv/docker.json"})
    FileChange(change.read(root, PATH), b"new", keep=True).apply()
    assert (tmp_path / PATH[1:]).is_symlink()
    assert (tmp_path / "srv/docker.json").read_bytes() == b"new"
    assert (tmp_path / "srv/docker.json.before-gpudock").read_bytes() == b"old"


def test_a_link_to_nothing_is_refused(tmp_path: Path) -> None:
    root = fill(tmp_path, {"/etc/hostname": "x"}, {PATH: "/srv/gone.json"})
    with pytest.raises(RefusedError) as told:
        change.read(root, PATH)
    assert "/srv/gone.json" in told.value.why


def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="is no file"):
        change.read(fill(tmp_path, {f"{PATH}/x": ""}), PATH)


def test_the_last_line_without_its_end_is_shown(tmp_path: Path) -> None:
    root = fill(tmp_path, {PATH: "a\nb"})
    shown = FileChange(change.read(root, PATH), b"a\nc").describe()
    assert shown.splitlines()[3:] == [" a", "-b", "\\ No newline at end of file", "+c", "\\ No newline at end of file"]


def test_what_cannot_be_written_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    root = fill(tmp_path, {"/etc/docker": "a file where a folder belongs"})
    file = change.ConfigFile(PATH, str(tmp_path / "etc/docker/daemon.json"), None)
    with pytest.raises(HostError):
        FileChange(file, b"{}").apply()
    assert root.names("/etc") == ["docker"]


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="is larger than"):
        change.read(fill(tmp_path, {PATH: b" " * (change.LIMIT + 1)}), PATH)
