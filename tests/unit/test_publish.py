"""Atomic files and locks."""

import os
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gpudock import publish
from gpudock.errors import HostError, RefusedError


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_with_its_folders(tmp_path: Path, umask: int) -> None:
    """Containers and engines' users read them, whatever umask root has; and nobody else may write into them."""
    path = tmp_path / "a/b/file"
    publish.write(str(path), b"data")
    assert path.read_bytes() == b"data"
    assert [mode(each) for each in (path, path.parent, path.parent.parent)] == [0o644, 0o755, 0o755]
    assert os.umask(umask) == umask


def test_a_mode_of_ones_own(tmp_path: Path, umask: int) -> None:
    publish.write(str(tmp_path / "secret"), b"", 0o600)
    publish.make_folder(str(tmp_path / "closed"), 0o700)
    assert (mode(tmp_path / "secret"), mode(tmp_path / "closed")) == (0o600, 0o700), umask


def test_readers_see_the_old_or_the_new_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    publish.write(str(path), b"0" * 100_000)
    with path.open("rb") as old:
        publish.write(str(path), b"1" * 10)
        assert set(old.read()) == {ord("0")}
    assert path.read_bytes() == b"1" * 10
    assert os.listdir(tmp_path) == ["file"]


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("old")
    (tmp_path / "file").symlink_to("precious")
    publish.write(str(tmp_path / "file"), b"new")
    assert (tmp_path / "precious").read_text() == "old"
    assert not (tmp_path / "file").is_symlink()


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()  # a rename onto a folder fails
    with pytest.raises(HostError, match=f"{tmp_path}/file"):
        publish.write(str(tmp_path / "file"), b"new")
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize(
    "action",
    [
        lambda path: publish.write(f"{path}/file/below", b""),
        lambda path: publish.make_folder(f"{path}/file/below"),
        lambda path: publish.lock(f"{path}/file/below").__enter__(),
        lambda path: publish.lock(f"{path}/link").__enter__(),
    ],
)
def test_what_cannot_be_is_an_error_with_its_reason(tmp_path: Path, action: Callable[[Path], object]) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")  # a lock behind a link would be somebody else's file
    with pytest.raises(HostError) as caught:
        action(tmp_path)
    assert str(tmp_path) in caught.value.what
    assert caught.value.why


def test_one_holds_the_lock_the_others_wait_and_say_so(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path, order = str(tmp_path / "run/lock"), []

    def work(name: str) -> None:
        with publish.lock(path) as waited:
            order.append((name, waited))

    with publish.lock(path) as waited:
        assert not waited
        threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
        for thread in threads:
            thread.start()
            thread.join(0.05)
        assert order == []
    for thread in threads:
        thread.join()
    assert sorted(order) == [("a", True), ("b", True)]
    assert capfd.readouterr().err.count("waiting") == 2
    with publish.lock(path) as waited:
        assert not waited


def test_a_lock_is_given_back_on_errors(tmp_path: Path) -> None:
    with pytest.raises(KeyError), publish.lock(str(tmp_path / "lock")):
        raise KeyError
    with publish.lock(str(tmp_path / "lock")) as waited:
        assert not waited


def test_reading_is_bounded_and_never_blocks(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    os.mkfifo(tmp_path / "fifo")
    assert publish.read_capped(str(tmp_path / "file"), 5) == b"12345"
    assert publish.read_capped(str(tmp_path / "fifo"), 5) == b""
    for path in (str(tmp_path / "file"), "/dev/zero"):
        with pytest.raises(RefusedError, match=path):
            publish.read_capped(path, 4)
    with pytest.raises(IsADirectoryError):
        publish.read_capped(str(tmp_path), 4)
    with pytest.raises(FileNotFoundError):
        publish.read_capped(str(tmp_path / "missing"), 4)


class TestWhoCanChangeIt:
    @pytest.fixture
    def python(self, tmp_path: Path) -> Path:
        for folder in ("real", "links"):
            (tmp_path / folder).mkdir(0o755)
        (tmp_path / "real/python").touch(0o755)
        (tmp_path / "links/python").symlink_to("../real/python")
        return tmp_path / "links/python"

    def test_nobody(self, python: Path) -> None:
        assert publish.insecure(str(python)) is None

    @pytest.mark.parametrize("path", ["real/python", "real", "links"])
    @pytest.mark.parametrize("mode", [0o775, 0o757])
    def test_who_may_write_the_file_its_folder_or_the_links_folder(self, python: Path, path: str, mode: int) -> None:
        (python.parent.parent / path).chmod(mode)
        assert path in (publish.insecure(str(python)) or "")

    def test_a_sticky_folder_keeps_its_entries(self, python: Path) -> None:
        python.parent.chmod(0o1777)
        assert publish.insecure(str(python)) is None

    def test_anybody_makes_new_names_in_a_sticky_folder(self, tmp_path: Path) -> None:
        (tmp_path / "shared").mkdir()
        (tmp_path / "shared").chmod(0o1777)
        (tmp_path / "shared/ours/deep").mkdir(parents=True)
        (tmp_path / "shared/link").symlink_to("missing")
        for name in ("shared", "shared/new", "shared/new/deep", "shared/link"):
            assert str(tmp_path / "shared") in (publish.insecure(str(tmp_path / name)) or ""), name
        for name in ("shared/ours", "shared/ours/deep", "shared/ours/new/deep"):
            assert publish.insecure(str(tmp_path / name)) is None, name

    def test_what_is_missing_is_as_safe_as_the_nearest_folder(self, tmp_path: Path) -> None:
        assert publish.insecure(f"{tmp_path}/a/b/c") is None
        (tmp_path / "file").touch()
        assert publish.insecure(f"{tmp_path}/file/a") is None  # whoever writes there is told
        tmp_path.chmod(0o770)
        assert str(tmp_path) in (publish.insecure(f"{tmp_path}/a/b/c") or "")

    def test_a_loop_of_links_ends(self, tmp_path: Path) -> None:
        (tmp_path / "loop").symlink_to("loop")
        assert "links" in (publish.insecure(f"{tmp_path}/loop/a") or "")


def test_what_is_kept_by_us(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    kept = {name: publish.kept_by_us(f"{tmp_path}/{name}") for name in ("", "file", "link", "missing", "file/below")}
    assert kept == {"": True, "file": True, "link": False, "missing": False, "file/below": False}
    (tmp_path / "file").chmod(0o620)
    assert not publish.kept_by_us(f"{tmp_path}/file")


def test_a_tree_is_synced_from_its_leaves_and_no_link_is_followed(tmp_path: Path, synced: list[str]) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/file").write_text("x")
    (tmp_path / "a/link").symlink_to("/etc/passwd")
    (tmp_path / "a/folder").symlink_to("/etc")
    folders = [f"{tmp_path}/a/b", f"{tmp_path}/a", str(tmp_path)]
    publish.sync_tree(str(tmp_path))
    assert synced == [f"{tmp_path}/a/b/file", *folders]
    synced.clear()
    publish.sync_tree(str(tmp_path), files=False)
    assert synced == folders
    with pytest.raises(FileNotFoundError):
        publish.sync_tree(f"{tmp_path}/missing")
