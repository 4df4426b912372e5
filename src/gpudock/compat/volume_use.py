"""Whether somebody on this machine has a folder mounted, in whichever mount namespace."""

import os
import re
from typing import NamedTuple

from gpudock.refresh import mounted

_ESCAPE = re.compile(r"\\([0-7]{3})")


class Mounted(NamedTuple):
    device: str  # "259:2"
    root: str  # the folder within that file system
    point: str


def blind() -> bool:
    """Whether containers' mounts cannot be seen: this is another user than root, as of nvidia-docker 1's own unit."""
    return os.geteuid() != 0


def in_use(folder: str) -> bool:
    """A container keeps the mount even when the folder is renamed: the kernel then tells the new name."""
    real = os.path.realpath(folder)
    device, inner = _within(real)
    return any(
        each.device == device and _is_below(each.root, inner) and each.point != real
        for each in mounted.everywhere(_table)
    )


def _within(real: str) -> tuple[str, str]:
    """The file system that a folder is on, and the folder's path within that."""
    best = Mounted("", "/", "/")
    for each in _table("self"):
        if _is_below(real, each.point) and len(each.point) >= len(best.point):
            best = each
    inner = best.root.rstrip("/") + real[len(best.point.rstrip("/")) :]
    return best.device, inner


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _table(process: str) -> list[Mounted]:
    return [Mounted(each[2], _plain(each[3]), _plain(each[4])) for each in mounted.table(process)]


def _plain(text: str) -> str:
    return _ESCAPE.sub(lambda code: chr(int(code[1], 8)), text)
