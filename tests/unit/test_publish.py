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
