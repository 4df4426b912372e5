"""Look-up inside an untrusted root, in both ways: what is found, and the error for what is not. The answers expected are
written down here, after openat2's manual; test_lookup.py holds the two against each other.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gpudock.start import walk

Resolve = Callable[..., int]


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    """usr/lib/real and links to it; beside the root there is a file that must never be reached."""
    (tmp_path / "secret").write_text("outside")
    inside = tmp_path / "root"
    (inside / "usr/lib").mkdir(parents=True)
    (inside / "usr/lib/real").write_text("inside")
    for name, target in {
        "lib": "usr/lib",
        "absolute": "/usr/lib/real",
        "climbing": "../../../secret",
        "outward": str(tmp_path / "secret"),
        "dangling": "/nowhere",
        "loop": "loop",
        "round": "about",
        "about": "round",
        "slashed": "usr/lib/real/",
        "through": "lib/../lib/real",
    }.items():
        (inside / name).symlink_to(target)
    fd = os.open(inside, os.O_PATH | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def text(resolve: Resolve, root: int, path: str) -> str:
    fd = resolve(root, path)
    try:
        return Path(f"/proc/self/fd/{fd}").read_text()
    finally:
        os.close(fd)


def failure(resolve: Resolve, root: int, path: str) -> int:
    with pytest.raises(OSError) as raised:
        os.close(resolve(root, path))
    assert raised.value.errno is not None
    return raised.value.errno


@pytest.mark.parametrize(
    "path",
    [
        "usr/lib/real",
        "/usr/lib/real",
        "//usr/./lib//real",
        "/lib/real",
        "absolute",
        "through",
        "usr/../usr/lib/real",
        "../../usr/lib/real",  # above the root is the root
        "lib/../lib/real",  # the folder of usr/lib, not of the link
        "./" * 2041 + "usr/lib/real",
    ],
)
def test_found(resolve: Resolve, root: int, path: str) -> None:
    assert text(resolve, root, path) == "inside"


@pytest.mark.parametrize(
    ("path", "number"),
    [
        ("", errno.ENOENT),
        ("nothing", errno.ENOENT),
        ("dangling", errno.ENOENT),
        ("climbing", errno.ENOENT),
        ("outward", errno.ENOENT),
        ("loop", errno.ELOOP),
        ("round", errno.ELOOP),
        ("loop/x", errno.ELOOP),
        ("usr/lib/real/", errno.ENOTDIR),
        ("usr/lib/real/.", errno.ENOTDIR),
        ("usr/lib/real/..", errno.ENOTDIR),
        ("usr/lib/real/x", errno.ENOTDIR),
        ("slashed", errno.ENOTDIR),
        ("x" * 300, errno.ENAMETOOLONG),
        ("./" * 2048 + "usr", errno.ENAMETOOLONG),
        ("\N{SNOWMAN}/" * 1024, errno.ENAMETOOLONG),
    ],
)
def test_not_found(resolve: Resolve, root: int, path: str, number: int) -> None:
    assert failure(resolve, root, path) == number


def test_nul_is_no_path(resolve: Resolve, root: int) -> None:
    with pytest.raises(ValueError, match="null"):
        resolve(root, "usr\0")


def test_the_last_link_itself(resolve: Resolve, root: int) -> None:
    fd = resolve(root, "lib", follow=False)
    assert stat.S_ISLNK(os.fstat(fd).st_mode)
    os.close(fd)
    fd = resolve(root, "lib/", follow=False)  # a slash asks for the folder behind it
    assert stat.S_ISDIR(os.fstat(fd).st_mode)
    os.close(fd)


def test_forty_links_and_no_more(resolve: Resolve, root: int, tmp_path: Path) -> None:
    (tmp_path / "root/link0").symlink_to("usr/lib/real")
    for number in range(1, 41):
        (tmp_path / f"root/link{number}").symlink_to(f"link{number - 1}")
    assert text(resolve, root, "link39") == "inside"
    assert failure(resolve, root, "link40") == errno.ELOOP


def test_a_moved_folder_does_not_lead_out(root: int, tmp_path: Path) -> None:
    """`..` goes back to where the walk came from, and not to where the folder is now."""
    deep = tmp_path / "root/usr/lib"
    moved: list[bool] = []

    class Part(str):
        __slots__ = ()

        def split(self, *_: object) -> list[str]:
            return ["usr", "lib", Move(), "..", "lib"]

    class Move(str):
        """Moves the folder that the walk stands in to beside the root, when the walk takes this step."""

        __slots__ = ()

        def __eq__(self, other: object) -> bool:
            if not moved:
                deep.rename(tmp_path / "moved")
                deep.mkdir()
                moved.append(True)
            return other == "."

        def __hash__(self) -> int:
            return hash(".")

    fd = walk.resolve(root, Part("x"))
    assert moved
    assert os.fstat(fd).st_ino == deep.stat().st_ino
    os.close(fd)


@pytest.mark.parametrize("path", ["proc/self/cwd", "proc/self/root/etc", "/proc/self/fd/0", "proc/self/exe"])
def test_magic_links_are_not_followed(resolve: Resolve, path: str) -> None:
    whole = os.open("/", os.O_PATH | os.O_DIRECTORY)
    assert failure(resolve, whole, path) == errno.ELOOP
    os.close(whole)


def test_ordinary_links_of_procfs_are(resolve: Resolve) -> None:
    whole = os.open("/", os.O_PATH | os.O_DIRECTORY)
    for path in ("proc/self/status", "proc/mounts", "/proc/thread-self/comm", "proc/net/dev"):
        fd = resolve(whole, path)
        assert stat.S_ISREG(os.fstat(fd).st_mode)
        os.close(fd)
    os.close(whole)


def test_nothing_stays_open(resolve: Resolve, root: int) -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    for path in ("lib/real", "loop", "usr/lib/real/..", "nothing", "../../dangling"):
        try:
            os.close(resolve(root, path))
        except OSError:
            continue
    assert sorted(os.listdir("/proc/self/fd")) == before
