"""Traps that images have laid for other toolkits, and the proof that nothing of the host was touched."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path


def digest(folder: Path) -> str:
    """Of every name, type, mode, link and content below: the same when nothing was touched."""
    lines = []
    for path in sorted(folder.rglob("*")):
        content = os.readlink(path) if path.is_symlink() else path.read_bytes().hex() if path.is_file() else ""
        lines.append(f"{path} {path.lstat().st_mode:o} {path.lstat().st_mtime_ns} {content}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _parent(place: Path, target: str) -> None:
    place.parent.parent.mkdir(parents=True, exist_ok=True)
    if place.parent.is_dir():
        for entry in place.parent.iterdir():
            entry.rename(place.parent.with_name(f"{entry.name}.aside"))
        place.parent.rmdir()
    place.parent.symlink_to(target)


def _leaf(place: Path, target: str) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target)


def _fifo(place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(place)


# The shapes by which images led other toolkits out of their root: lay (place in the image, folder of the host).
SHAPES: dict[str, Callable[[Path, Path], None]] = {
    "parent is an absolute link": lambda place, host: _parent(place, str(host)),
    "parent is a relative link": lambda place, host: _parent(place, "../" * 20 + str(host)[1:]),
    "leaf is a dangling link": lambda place, host: _leaf(place, str(host / "new")),
    "leaf is a link to a file of the host": lambda place, host: _leaf(place, str(host / "owned")),
    "leaf is a relative link to the host": lambda place, host: _leaf(place, "../" * 20 + str(host / "owned")[1:]),
    "leaf is a FIFO": lambda place, _: _fifo(place),
    "parent is a magic link": lambda place, _: _parent(place, "/proc/self/cwd"),
    "parent is a loop": lambda place, _: _parent(place, place.parent.name),
}
