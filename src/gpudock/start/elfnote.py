"""One note section of an ELF file that an image's author has made: bounded in size and time, whatever is in it."""

import os
import struct

from gpudock.plan.ldcache import cache_flags

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

SECTIONS = 256  # NVIDIA's libraries have about 40
NAMES = 1 << 14  # bytes of the sections' names together
NOTE = 1 << 13  # bytes of the section that is wanted

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_NOTE = struct.Struct("<III")  # bytes of the owner's name, bytes of the content, type
_IDENTITY = b"\x7fELF\x02\x01"  # 64 bits, little-endian: what CUDA is made for
_IS_NOTE = 7


class Header:
    """`flags`: what the linker cache calls the architecture, None for one that no loader takes."""

    __slots__ = ("_names", "_sections", "_table", "flags")

    def __init__(self, fd: int) -> None:
        """Of the file open as `fd`. Raises ValueError, in words, for what is no such file."""
        data = _part(fd, 0, _HEADER.size)
        identity, _, machine, _, _, _, table, e_flags, _, _, _, size, count, names = _HEADER.unpack(data)
        if not identity.startswith(_IDENTITY):
            raise ValueError("it is no 64-bit ELF file")
        if count and (size != _SECTION.size or count > SECTIONS or names >= count):
            raise ValueError("its section table is broken")
        self.flags = cache_flags(machine, 64, e_flags)
        self._table = table
        self._sections = count
        self._names = names

    def note(self, fd: int, section: str, owner: str) -> "Optional[bytes]":
        """The content of the first note of that section; None without one of this owner. Raises ValueError."""
        rows = list(_SECTION.iter_unpack(_part(fd, self._table, self._sections * _SECTION.size)))
        if not rows:
            return None
        names = _bounded(fd, rows[self._names], NAMES)
        wanted = section.encode() + b"\0"
        for row in rows:
            if row[1] == _IS_NOTE and names.startswith(wanted, row[0]):
                return _content(_bounded(fd, row, NOTE), owner.encode())
        return None


def _content(note: bytes, owner: bytes) -> "Optional[bytes]":
    if len(note) < _NOTE.size:
        raise ValueError("its note is too short")
    name_size, size, _ = _NOTE.unpack_from(note)
    behind = _NOTE.size + name_size
    if note[_NOTE.size : behind].rstrip(b"\0") != owner:
        return None
    return note[behind:].lstrip(b"\0")[:size].rstrip(b"\0")  # padding to 4 bytes, or to 8 on some machines


def _bounded(fd: int, section: "tuple[int, ...]", limit: int) -> bytes:
    if section[5] > limit:
        raise ValueError("a section of it is too long")
    return _part(fd, section[4], section[5])


def _part(fd: int, start: int, size: int) -> bytes:
    data = os.pread(fd, size, start) if start + size < 1 << 62 else b""
    if len(data) < size:
        raise ValueError("it is cut off")
    return data
