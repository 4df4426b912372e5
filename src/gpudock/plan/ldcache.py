"""/etc/ld.so.cache, glibc 2.2 and later: reading it strictly, and writing it. Pure.

Formats: "new" (glibc-ld.so.cache1.1), "compat" (an old table with a new one behind it), "old" (ld.so-1.7.0 alone).
Only the new format is ever written: every loader since 2.2 reads it. An entry is a tuple
(flags, name, path, osversion, hwcap, subdirectory); names and paths are bytes; `subdirectory` is the glibc-hwcaps
folder's name ("" for none), and the bits of hwcap that would hold its index are then zero.
"""

import struct
import sys
from itertools import accumulate, repeat

from gpudock.errors import InputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Optional

    Entry = tuple[int, bytes, bytes, int, int, bytes]

SIZE_LIMIT = 16 << 20  # bytes of a cache
ENTRY_LIMIT = 200_000
STRING_LIMIT = 4096  # bytes of a name or path: PATH_MAX
TEXT_LIMIT = 64 << 20  # bytes of all strings: they may overlap in the file, but not in memory
SUBDIRECTORY_LIMIT = 1024

_OLD_MAGIC = b"ld.so-1.7.0"
_NEW_MAGIC = b"glibc-ld.so.cache1.1"
_HEADER = struct.Struct("=20sIIB3xI12x")  # magic, entries, length of strings, byte order, extension offset
_ENTRY = struct.Struct("=iIIIQ")  # flags, name offset, path offset, osversion, hwcap
_OLD_HEADER = struct.Struct("=11sxI")
_OLD_ENTRY = struct.Struct("=iII")
_EXTENSION = struct.Struct("=II")  # magic, sections
_SECTION = struct.Struct("=IIII")  # tag, flags, offset, size
_EXTENSION_MAGIC = 0xEAA42174
_GENERATOR, _SUBDIRECTORIES = 0, 1  # section tags
_GENERATED_BY = b"gpudock"
_BYTE_ORDER = 2 if sys.byteorder == "little" else 3  # 0: written before glibc 2.33, which did not say

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


class Cache:
    """What a file holds: its format ("new", "compat" or "old") and its entries in file order."""

    __slots__ = ("entries", "form")

    def __init__(self, form: str, entries: "list[Entry]") -> None:
        self.form = form
        self.entries = entries


def parse(data: bytes) -> Cache:
    """The whole file, checked: counts, offsets, terminators, byte order, indices. Raises CacheError."""
    if len(data) > SIZE_LIMIT:
        raise CacheError(f"it is larger than {SIZE_LIMIT >> 20} MiB")
    if data.startswith(_NEW_MAGIC):
        return Cache("new", _new(data, 0))
    if not data.startswith(_OLD_MAGIC) or len(data) < _OLD_HEADER.size:
        raise CacheError("it does not begin as one", ignored=True)
    count = _OLD_HEADER.unpack_from(data)[1]
    end = _table_end(data, _OLD_HEADER.size, _OLD_ENTRY.size, count)
    new = end + -end % 8  # the new header holds 64-bit numbers
    if data.startswith(_NEW_MAGIC, new):
        return Cache("compat", _new(data, new))
    columns = _columns(_OLD_ENTRY, data[_OLD_HEADER.size : end])
    return Cache("old", _entries([*columns[:3], repeat(0), repeat(0)], _strings(data, end, {*columns[1], *columns[2]})))


def entries(data: bytes) -> "list[tuple[int, str, str]]":
    """(flags, SONAME, path) of each library, in the loader's order; undecodable bytes escaped. Raises CacheError."""
    return [(entry[0], _text(entry[1]), _text(entry[2])) for entry in parse(data).entries]


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


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _table_end(data: bytes, start: int, size: int, count: int) -> int:
    if count > ENTRY_LIMIT:
        raise CacheError(f"it counts {count} libraries", ignored=start + size * count > len(data))
    if start + size * count > len(data):
        raise CacheError("it is shorter than its table", ignored=True)
    return start + size * count


def _new(data: bytes, base: int) -> "list[Entry]":
    if len(data) < base + _HEADER.size:
        raise CacheError("it is shorter than its header", ignored=not base)
    _, count, _, order, extension = _HEADER.unpack_from(data, base)
    end = _table_end(data, base + _HEADER.size, _ENTRY.size, count)
    if order not in {0, _BYTE_ORDER}:
        raise CacheError("it was written for another byte order", ignored=order & 3 not in {0, _BYTE_ORDER})
    columns = _columns(_ENTRY, data[base + _HEADER.size : end])
    folders = _subdirectories(data, base, extension)
    found = _entries(columns, _strings(data, base, {*columns[1], *columns[2]}))
    return [_resolved(entry, folders) if entry[4] else entry for entry in found]


def _columns(row: struct.Struct, table: bytes) -> "list[tuple[int, ...]]":
    """The table by columns: in Python much faster to work on than row by row."""
    return list(zip(*row.iter_unpack(table))) if table else [()] * 5


def _entries(columns: "Sequence[Iterable[int]]", text: "dict[int, bytes]") -> "list[Entry]":
    flags, names, paths, osversions, hwcaps = columns
    string = text.__getitem__
    return list(zip(flags, map(string, names), map(string, paths), osversions, hwcaps, repeat(b"")))


def _resolved(entry: "Entry", folders: "list[bytes]") -> "Entry":
    hwcap = entry[4]
    if (hwcap >> 32) & ~0x3FF != 1 << 30:  # bits of glibc before 2.33, and no index
        return entry
    index = hwcap & 0xFFFFFFFF
    if index >= len(folders):
        raise CacheError("an entry names a glibc-hwcaps folder that is not listed")
    return (*entry[:4], hwcap - index, folders[index])


def _strings(data: bytes, base: int, offsets: "Iterable[int]") -> "dict[int, bytes]":
    """The strings that begin at `offsets` from `base`. An offset behind the file finds no terminator either."""
    found: "dict[int, bytes]" = {}
    room = TEXT_LIMIT
    for offset in offsets:
        start = base + offset
        end = data.find(b"\0", start, start + STRING_LIMIT)
        if end < 0:
            raise CacheError("a name in it lies outside of the file, has no end or is too long")
        room -= end - start
        if room < 0:
            raise CacheError(f"its names are longer than {TEXT_LIMIT >> 20} MiB together")
        found[offset] = data[start:end]
    return found


def _subdirectories(data: bytes, base: int, extension: int) -> "list[bytes]":
    """The list of glibc-hwcaps folders. ldconfig counts their strings from the new header, in every format."""
    if not extension:
        return []
    start = extension + _EXTENSION.size
    if extension % 4 or start > len(data):
        raise CacheError("its extension lies outside of the file")
    magic, count = _EXTENSION.unpack_from(data, extension)
    if magic != _EXTENSION_MAGIC or start + _SECTION.size * count > len(data):
        raise CacheError("its extension is broken")
    found: "list[bytes]" = []
    for tag, flags, offset, size in _SECTION.iter_unpack(data[start : start + _SECTION.size * count]):
        if flags or offset + size > len(data):
            raise CacheError("a section of its extension lies outside of the file")
        if tag == _SUBDIRECTORIES:
            if found or not size or size % 4 or offset % 4 or size // 4 > SUBDIRECTORY_LIMIT:
                raise CacheError("its list of glibc-hwcaps folders is broken")
            offsets = struct.unpack_from(f"={size // 4}I", data, offset)
            text = _strings(data, base, set(offsets))
            found = [text[offset] for offset in offsets]
    if b"" in found:
        raise CacheError("its list of glibc-hwcaps folders holds an empty name")
    return found


def build(found: "Sequence[Entry]") -> bytes:
    """The file, in the new format, with the entries in the order given. Raises CacheError when it is too large."""
    folders = {name: index for index, name in enumerate(sorted({entry[5] for entry in found} - {b""}))}
    table_end = _HEADER.size + _ENTRY.size * len(found)
    texts = list(dict.fromkeys([*[entry[1] for entry in found], *[entry[2] for entry in found], *folders]))
    positions = list(accumulate([table_end, *[len(text) + 1 for text in texts]]))
    offsets = dict(zip(texts, positions))
    position = positions[-1]
    padding = -position % 4
    extension = position + padding
    if len(found) > ENTRY_LIMIT or extension > SIZE_LIMIT:
        raise CacheError("it would become too large")
    pack = _ENTRY.pack
    parts = [_HEADER.pack(_NEW_MAGIC, len(found), position - table_end, _BYTE_ORDER, extension)]
    parts += [
        pack(flags, offsets[name], offsets[path], osversion, hwcap + folders.get(folder, 0))
        for flags, name, path, osversion, hwcap, folder in found
    ]
    parts += [b"\0".join([*texts, b""]), b"\0" * padding, _extension(extension, [offsets[name] for name in folders])]
    return b"".join(parts)


def _extension(start: int, names: "list[int]") -> bytes:
    """Directory of sections, then the list of folder names (when there are any), then who wrote the file."""
    array = struct.pack(f"={len(names)}I", *names)
    sections = [(_SUBDIRECTORIES, len(array))] if names else []
    sections.insert(0, (_GENERATOR, len(_GENERATED_BY)))
    behind = start + _EXTENSION.size + _SECTION.size * len(sections)
    where = {_SUBDIRECTORIES: behind, _GENERATOR: behind + len(array)}
    parts = [_EXTENSION.pack(_EXTENSION_MAGIC, len(sections))]
    parts += [_SECTION.pack(tag, 0, where[tag], size) for tag, size in sections]
    return b"".join([*parts, array, _GENERATED_BY])
