"""What every process on this machine has mounted, in whichever mount namespace."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Row = TypeVar("Row")


def table(process: str) -> list[list[str]]:
    """The fields of each line of a process's mountinfo: [3] is what is mounted, [4] where, blanks escaped."""
    with open(f"/proc/{process}/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        return [line.split(" ", 5) for line in file]


def everywhere(read: Callable[[str], Iterable[Row]]) -> Iterator[Row]:
    """What `read` makes of each namespace's table, by one of its processes."""
    seen: set[str] = set()
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError):  # it has ended
            namespace = os.readlink(f"/proc/{name}/ns/mnt")
            if namespace not in seen:
                yield from read(name)
                seen.add(namespace)
