"""The two ways to look something up answer alike, on trees and paths made at random; and which one is taken."""

import errno
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from gpudock.errors import InputError
from gpudock.start import lookup, openat2, paths, syscalls, walk
from gpudock.start.rootfs import Rootfs
from gpudock.start.volumes import ContainerRoot

NAMES = ("a", "b", "c", "d")
TREES = 40
PATHS = 150
Answer = tuple[int, int, int] | int


def answer(resolve: Callable[..., int], root: int, path: str, *, follow: bool) -> Answer:
    """Which file it is, or the error's number."""
    try:
        fd = resolve(root, path, follow=follow)
    except OSError as error:
        return error.errno or 0
    found = os.fstat(fd)
    os.close(fd)
    return found.st_dev, found.st_ino, found.st_mode


def some_path(chance: random.Random, depth: int) -> str:
    parts = [chance.choice([*NAMES, *NAMES, *NAMES, "..", ".", "", "nothing"]) for _ in range(chance.randint(1, depth))]
    start = chance.choice(["", "", "/", "../../", "//"])
    return (start + "/".join(parts) + chance.choice(["", "", "", "/", "/.", "/.."])) or "."


def grow(chance: random.Random, folder: Path, depth: int, outside: Path) -> None:
    for name in NAMES:
        place = folder / name
        kind = chance.choice(["folder", "folder", "file", "link", "link", "link", "nothing", "fifo"])
        if kind == "folder":
            place.mkdir()
            if depth:
                grow(chance, place, depth - 1, outside)
        elif kind == "file":
            place.touch()
        elif kind == "fifo":
            os.mkfifo(place)
        elif kind == "link":
            place.symlink_to(
                chance.choice([some_path(chance, 4), some_path(chance, 4), str(outside), name, "/proc/self"])
            )


@pytest.mark.parametrize("seed", range(TREES))
def test_both_answer_alike(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    inside, outside = tmp_path / "root", tmp_path / "outside"
    inside.mkdir()
    outside.touch()
    grow(chance, inside, 3, outside)
    root = os.open(inside, os.O_PATH | os.O_DIRECTORY)
    away = outside.stat()
    beyond = (away.st_dev, away.st_ino, away.st_mode)
    for _ in range(PATHS):
        path, follow = some_path(chance, 7), chance.random() < 0.8
        walked = answer(walk.resolve, root, path, follow=follow)
        assert walked == answer(openat2.resolve, root, path, follow=follow), (path, follow)
        assert walked != beyond, path
    os.close(root)


@pytest.mark.parametrize("seed", range(TREES))
def test_the_short_way_to_a_place_is_the_long_one(tmp_path: Path, seed: int) -> None:
    """What is remembered of folders changes no answer."""
    chance = random.Random(seed)
    inside, outside = tmp_path / "root", tmp_path / "outside"
    inside.mkdir()
    outside.touch()
    grow(chance, inside, 3, outside)
    remembering = ContainerRoot(str(inside), [], str(tmp_path))
    plain = Rootfs(str(inside))
    for _ in range(PATHS):
        path = paths.normal(some_path(chance, 7))
        assert remembering.place(path) == remembering._behind(path), path
        found, expected = remembering.stat(path), plain.stat(path)
        assert found == expected, path
    plain.close()


def test_all_kinds_of_answers_were_met(tmp_path: Path) -> None:
    """Else the trees above would show little."""
    met: set[object] = set()
    for seed in range(TREES):
        chance = random.Random(seed)
        inside = tmp_path / str(seed)
        inside.mkdir()
        grow(chance, inside, 3, tmp_path)
        root = os.open(inside, os.O_PATH | os.O_DIRECTORY)
        for _ in range(PATHS):
            found = answer(openat2.resolve, root, some_path(chance, 7), follow=chance.random() < 0.8)
            met.add(found if isinstance(found, int) else found[2] & 0o170000)
        os.close(root)
    assert met >= {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, 0o040000, 0o100000, 0o120000, 0o010000}


@pytest.mark.parametrize("follow", [True, False])
def test_they_do_on_this_machine(follow: bool) -> None:
    root = os.open("/", os.O_PATH | os.O_DIRECTORY)
    process = f"proc/{os.getpid()}"
    inside = ["cwd", "root", "root/etc", "exe", "fd", "fd/0", "ns/mnt", "status", "status/", "task/../status"]
    paths = [f"{start}/{each}" for start in (process, "proc/self", "proc/thread-self") for each in inside]
    paths += ["proc", "proc/self", "proc/self/", "proc/mounts", "proc/net", "proc/net/..", "sys/class/net/lo/mtu"]
    paths += ["", "/", "..", "bin/sh", "etc/mtab", "dev/stdin", "dev/fd/0", "dev/null", "dev/null/"]
    for path in paths:
        assert answer(walk.resolve, root, path, follow=follow) == answer(openat2.resolve, root, path, follow=follow), (
            path
        )
    os.close(root)


def test_choose() -> None:
    assert lookup.choose("walk") is walk.resolve
    assert lookup.choose("openat2") is openat2.resolve
    with pytest.raises(InputError, match="known are walk, openat2"):
        lookup.choose("realpath")


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EPERM])
def test_where_the_kernel_has_none_the_walk_takes_its_place(number: int) -> None:
    def missing(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    assert not lookup.is_usable(missing)
    assert lookup.is_usable(openat2.resolve)


def test_other_errors_are_no_reason_to_look_elsewhere() -> None:
    def broken(*_: object) -> int:
        raise OSError(errno.EMFILE, "too many")

    with pytest.raises(OSError, match="too many"):
        lookup.is_usable(broken)


def test_a_look_up_that_is_disturbed_is_tried_again_and_walked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def disturbed(*_: object) -> int:
        asked.append(1)
        raise OSError([errno.EAGAIN, errno.EXDEV][len(asked) % 2], "moved")

    monkeypatch.setattr(syscalls, "call", disturbed)
    (tmp_path / "x").mkdir()
    root = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    seen = [answer(openat2.resolve, root, path, follow=True) for path in ("x/../x", "none")]
    os.close(root)
    there = (tmp_path / "x").stat()
    assert seen[0] == (there.st_dev, there.st_ino, there.st_mode)
    assert seen[1] == errno.ENOENT
    assert len(asked) == 2 * openat2.TRIES


def test_system_calls_fail_as_python_does() -> None:
    with pytest.raises(OSError) as raised:
        syscalls.call(syscalls.OPENAT2, -1, b"relative", bytes(24), 24)
    assert raised.value.errno == errno.EBADF
    with pytest.raises(OSError) as raised:
        syscalls.unmount(b"/proc/self/nothing", 0)
    assert raised.value.errno == errno.ENOENT
