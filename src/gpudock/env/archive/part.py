"""Writes an environment's file beside its place, and goes on where an earlier attempt ended.

What is there already is read and compared, never believed: after a power loss a file may have blocks of zeros.
"""

import os
import stat
from typing import BinaryIO

from gpudock.errors import HostError


class Part:
    """`put` writes a member, unless this very member stands at this place already. `written`: bytes that were new."""

    def __init__(self, file: BinaryIO, there: int) -> None:
        self._file = file
        self._there = there  # how long the file was
        self.written = 0

    def put(self, data: bytes) -> None:
        if self._there:
            at = self._file.tell()
            if self._file.read(len(data)) == data:
                return
            self._there = 0
            self._file.seek(at)
            self._file.truncate()
        self._file.write(data)
        self.written += len(data)

    def whole(self) -> None:
        self._file.truncate()
        self._file.flush()
        os.fsync(self._file.fileno())


def place(path: str) -> str:
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name}.part")


def opened(path: str, uid: int) -> BinaryIO:
    """This user's own file, or root's, and through no link: it is written to. Raises HostError for another's."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    told = os.fstat(fd)
    if not stat.S_ISREG(told.st_mode) or told.st_nlink != 1 or told.st_uid not in {uid, os.geteuid()}:
        os.close(fd)
        raise HostError(f"{path} is not yours alone.", why="others would have what is saved", mend="remove it")
    return os.fdopen(fd, "r+b")
