"""/etc/ld.so.cache, glibc 2.2 and later, read strictly. Pure.

Formats: "new" (glibc-ld.so.cache1.1), "compat" (an old table with a new one behind it), "old" (ld.so-1.7.0 alone).
A file is read by columns and its strings are left in one piece: some have ten thousands of libraries, and whoever makes
an object of each string takes most of a container's start for it.
"""

import struct
import sys

from gpudock.errors import InputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Optional

SIZE_LIMIT = 16 << 20  # bytes of a cache
ENTRY_LIMIT = 200_000
STRING_LIMIT = 4096  # bytes of a name or path: PATH_MAX
TEXT_LIMIT = 64 << 20  # bytes of all names: they may overlap in the file, but not in memory
SUBDIRECTORY_LIMIT = 1024
NEW_MAGIC = b"glibc-ld.so.cache1.1"
HEADER = struct.Struct("=20sIIB3xI12x")  # magic, entries, length of strings, byte order, extension offset
ROW = struct.Struct("=iIIIQ")  # flags, name offset, path offset, osversion, hwcap
EXTENSION = struct.Struct("=II")  # magic, sections
SECTION = struct.Struct("=IIII")  # tag, flags, offset, size
EXTENSION_MAGIC = 0xEAA42174
GENERATOR, SUBDIRECTORIES = 0, 1  # section tags
BYTE_ORDER = 2 if sys.byteorder == "little" else 3  # 0: written before glibc 2.33, which did not say

_OLD_MAGIC = b"ld.so-1.7.0"
_OLD_HEADER = struct.Struct("=11sxI")
_OLD_ROW = struct.Struct("=iII")
_AT_ONCE = 4096  # names cut out before their length together is looked at

# ELF machine and class -> what the loader of that architecture wants to see in an entry.
_FLAGS = {
    (62, 64): 0x0303,  # x86-64
    (62, 32): 0x0803,  # x32
    (3, 32): 0x0003,  # i386
    (183, 64): 0x0A03,  # aarch64
    (22, 64): 0x0403,  # s390x
    (22, 32): 0x0003,
    (21, 64): 0x0503,  # ppc64
    (20, 32): 0x0003,
    (43, 64): 0x0103,  # sparc64
}
_ARM, _RISCV, _LOONGARCH = 40, 243, 258


class CacheError(InputError):
    """A linker cache that must not be believed. `ignored`: the loader too takes such a file for none at all."""

    def __init__(self, why: str, *, ignored: bool = False) -> None:
        super().__init__(
            "The linker cache (ld.so.cache) cannot be used.", why=why, mend="run ldconfig where the file was made"
        )
        self.ignored = ignored


class Table:
    """What a file holds. `rows` are ROWs one behind the other; all offsets are into `text`, whose strings begin at
    `start`; `folders` are the names of the glibc-hwcaps folders that extended hwcaps have an index of.
    """

    __slots__ = ("flags", "folders", "form", "hwcaps", "names", "paths", "rows", "start", "text")

    def __init__(self, form: str = "new", rows: bytes = b"", text: bytes = b"", start: int = 0) -> None:
        """Raises CacheError for an offset that leads to no string."""
        self.form = form
        self.rows = rows
        self.text = text
        self.start = start
        self.folders: "list[int]" = []
        numbers = memoryview(rows).cast("I")
        self.flags: "list[int]" = memoryview(rows).cast("i")[0::6].tolist()
        self.names: "list[int]" = numbers[1::6].tolist()
        self.paths: "list[int]" = numbers[2::6].tolist()
        self.hwcaps: "list[int]" = memoryview(rows).cast("Q")[2::3].tolist()
        self._check([*self.names, *self.paths])

    def __len__(self) -> int:
        return len(self.names)

    def _check(self, offsets: "list[int]") -> None:
        if offsets and not self.start <= min(offsets) <= max(offsets) <= self.text.rfind(b"\0"):
            raise CacheError("a name in it lies outside of the file or has no end")

    def add_folders(self, offsets: "Sequence[int]") -> None:
        """Raises CacheError when an entry's index has no folder."""
        self._check([*offsets])
        if any(name == b"" for name in strings(self.text, offsets)):
            raise CacheError("its list of glibc-hwcaps folders holds an empty name")
        self.folders = list(offsets)
        for hwcap in filter(None, self.hwcaps):
            if is_extended(hwcap) and hwcap & 0xFFFFFFFF >= len(offsets):
                raise CacheError("an entry names a glibc-hwcaps folder that is not listed")


def is_extended(hwcap: int) -> bool:
    """Whether its low half is the index of a folder; else they are bits of glibc before 2.33."""
    return (hwcap >> 32) & ~0x3FF == 1 << 30


def parse(data: bytes) -> Table:
    """The whole file, checked: counts, offsets, terminators, byte order, indices. Raises CacheError."""
    if len(data) > SIZE_LIMIT:
        raise CacheError(f"it is larger than {SIZE_LIMIT >> 20} MiB")
    if data.startswith(NEW_MAGIC):
        return _new("new", data, 0)
    if not data.startswith(_OLD_MAGIC) or len(data) < _OLD_HEADER.size:
        raise CacheError("it does not begin as one", ignored=True)
    count = _OLD_HEADER.unpack_from(data)[1]
    end = _table_end(data, _OLD_HEADER.size, _OLD_ROW.size, count)
    new = end + -end % 8  # the new header holds 64-bit numbers
    if data.startswith(NEW_MAGIC, new):
        return _new("compat", data, new)
    rows = b"".join(ROW.pack(*row, 0, 0) for row in _OLD_ROW.iter_unpack(data[_OLD_HEADER.size : end]))
    return Table("old", rows, data[end:])


def entries(data: bytes) -> "list[tuple[int, str, str]]":
    """(flags, SONAME, path) of each library, in the loader's order; undecodable bytes escaped. Raises CacheError."""
    table = parse(data)
    names, paths = strings(table.text, table.names), strings(table.text, table.paths)
    return [(flags, _decoded(name), _decoded(path)) for flags, name, path in zip(table.flags, names, paths)]


def strings(text: bytes, offsets: "Sequence[int]") -> "list[bytes]":
    """Those that begin at `offsets`, each of which has an end. Raises CacheError when they are too long."""
    found: "list[bytes]" = []
    room, find = TEXT_LIMIT, text.find
    for at in range(0, len(offsets), _AT_ONCE):
        some = offsets[at : at + _AT_ONCE]
        ends = [find(b"\0", start, start + STRING_LIMIT) for start in some]
        if min(ends) < 0:
            raise CacheError("a name in it is too long")
        room -= sum(ends) - sum(some)
        if room < 0:
            raise CacheError(f"its names are longer than {TEXT_LIMIT >> 20} MiB together")
        found += [text[start:end] for start, end in zip(some, ends)]
    return found


def cache_flags(machine: int, bits: int, e_flags: int) -> "Optional[int]":
    """What the cache calls an ELF file's architecture; None for one that no loader here would take."""
    if machine == _ARM and bits == 32:
        if e_flags >> 24 != 5:  # EABI version
            return 0x0003
        return 0x0903 if e_flags & 0x400 else 0x0B03 if e_flags & 0x200 else 0x0003
    if machine == _RISCV:
        return {4: 0x1003, 0: 0x0F03}.get(e_flags & 6)
    if machine == _LOONGARCH:
        return {3: 0x1203, 1: 0x1103}.get(e_flags & 7)
    return _FLAGS.get((machine, bits))


def _decoded(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _table_end(data: bytes, start: int, size: int, count: int) -> int:
    if count > ENTRY_LIMIT:
        raise CacheError(f"it counts {count} libraries", ignored=start + size * count > len(data))
    if start + size * count > len(data):
        raise CacheError("it is shorter than its table", ignored=True)
    return start + size * count


def _new(form: str, data: bytes, base: int) -> Table:
    if len(data) < base + HEADER.size:
        raise CacheError("it is shorter than its header", ignored=not base)
    _, count, _, order, extension = HEADER.unpack_from(data, base)
    end = _table_end(data, base + HEADER.size, ROW.size, count)
    if order not in {0, BYTE_ORDER}:
        raise CacheError("it was written for another byte order", ignored=order & 3 not in {0, BYTE_ORDER})
    table = Table(form, data[base + HEADER.size : end], data[base:], end - base)
    table.add_folders(_subdirectories(data, extension))
    return table


def _subdirectories(data: bytes, extension: int) -> "Sequence[int]":
    """The list of glibc-hwcaps folders. ldconfig counts their strings from the new header, in every format."""
    if not extension:
        return ()
    start = extension + EXTENSION.size
    if extension % 4 or start > len(data):
        raise CacheError("its extension lies outside of the file")
    magic, count = EXTENSION.unpack_from(data, extension)
    if magic != EXTENSION_MAGIC or start + SECTION.size * count > len(data):
        raise CacheError("its extension is broken")
    found: "Sequence[int]" = ()
    for tag, flags, offset, size in SECTION.iter_unpack(data[start : start + SECTION.size * count]):
        if flags or offset + size > len(data):
            raise CacheError("a section of its extension lies outside of the file")
        if tag == SUBDIRECTORIES:
            if found or not size or size % 4 or offset % 4 or size // 4 > SUBDIRECTORY_LIMIT:
                raise CacheError("its list of glibc-hwcaps folders is broken")
            found = struct.unpack_from(f"={size // 4}I", data, offset)
    return found
