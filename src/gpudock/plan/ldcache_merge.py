"""Adds the driver's libraries to an image's linker cache, without ldconfig. Pure.

What the image's cache holds stays in its order: glibc's comparison is no order for names with long numbers, so sorting
again could hide libraries that are found today. The result is written only after the loader's own search, simulated,
found every added library where it should and every old name that it found before.

The image's rows and strings are taken over as they are: rows that come in between move all strings by one distance,
which is added to all offsets at once.
"""

import struct
import sys

from gpudock.plan import ldcache
from gpudock.plan.ldcache import EXTENSION, HEADER, ROW, SECTION, STRING_LIMIT, CacheError, Table
from gpudock.plan.ldcache_order import Listing, char_is_signed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Optional

    Library = tuple[int, bytes, bytes]  # flags, SONAME, path

SIMULATION_LIMIT = 10_000  # entries of a cache out of order; the search for each of them takes a second then
_GENERATED_BY = b"gpudock"


class Merged:
    """The new cache, and pairs (added SONAME, other name) that the loader cannot tell apart: the added one wins."""

    __slots__ = ("conflicts", "data")

    def __init__(self, data: bytes, conflicts: "list[tuple[str, str]]") -> None:
        self.data = data
        self.conflicts = conflicts


def merge(old: "Optional[bytes]", added: "Sequence[tuple[int, str, str]]", replaces: str = "") -> Merged:
    """`old` (None: the image has no cache) with the `added` (flags, SONAME, path), preferred first. Idempotent.

    Old entries with a path below the folder `replaces` are dropped first: an earlier start has added them.
    Raises CacheError; old bytes that the loader itself would ignore count as none.
    """
    new = list(dict.fromkeys(_library(*library) for library in added))
    before, names = _kept(_parse(old), new, replaces)
    signed = all(char_is_signed(flags) for flags, _, _ in new)
    sought = [name for _, name, _ in new]
    listing = Listing([*names], [*before.flags], [*before.hwcaps], sought, signed=signed)
    text, offsets = _text(before, new)
    by = HEADER.size + ROW.size * (len(names) + len(new)) - before.start
    rows = _moved(before.rows, by)
    conflicts: "list[tuple[str, str]]" = []
    for (flags, name, _), (name_at, path_at) in zip(reversed(new), reversed(offsets)):
        place = listing.insert(name, flags)
        rows.insert(place, ROW.pack(flags, name_at + by, path_at + by, 0, 0))
        conflicts += [(_shown(name), _shown(other)) for other in listing.unlike(place)]
    data = _file(rows, text, [offset + by for offset in before.folders])
    _check_file(data, listing, new)
    _check_kept(names, before, listing)
    return Merged(data, list(dict.fromkeys(reversed(conflicts))))


def _parse(old: "Optional[bytes]") -> Table:
    try:
        return ldcache.parse(old) if old else Table()
    except CacheError as error:
        if error.ignored:
            return Table()
        raise


def _library(flags: int, soname: str, path: str) -> "Library":
    name, place = soname.encode("utf-8", "surrogateescape"), path.encode("utf-8", "surrogateescape")
    good = 0 <= flags < 1 << 31 and name and b"/" not in name and place.startswith(b"/")
    if not good or b"\0" in name + place or max(len(name), len(place)) >= STRING_LIMIT:
        raise CacheError(f"{soname!r:.80} at {path!r:.80} cannot be listed in one")
    return (flags, name, place)


def _kept(table: Table, new: "list[Library]", replaces: str) -> "tuple[Table, list[bytes]]":
    """What stays of it, with the names. Variants of a new SONAME for better processors would win over it: they go."""
    names, text = ldcache.strings(table.text, table.names), table.text
    below = replaces.encode("utf-8", "surrogateescape").rstrip(b"/") + b"/"
    gone = set()
    if replaces and below in text:
        gone = {index for index, path in enumerate(table.paths) if text.startswith(below, path)}
    again: "dict[tuple[int, bytes], tuple[bytes, ...]]" = {}
    for flags, name, path in new:
        again[flags, name] = (*again.get((flags, name), ()), path + b"\0")
    sonames = {name for _, name, _ in new}
    for index in [index for index, name in enumerate(names) if name in sonames]:
        paths = again.get((table.flags[index], names[index]), ())
        if paths and (table.hwcaps[index] or text.startswith(paths, table.paths[index])):
            gone.add(index)
    if not gone:
        return table, names
    stays = [index for index in range(len(names)) if index not in gone]
    rows = b"".join(table.rows[index * ROW.size : (index + 1) * ROW.size] for index in stays)
    left = Table(table.form, rows, text, table.start)
    left.folders = table.folders
    return left, [names[index] for index in stays]


def _text(table: Table, new: "list[Library]") -> "tuple[bytes, list[tuple[int, int]]]":
    """The strings of what stays, with those of the new behind them, and the new ones' offsets of name and path.

    A name that ends its path is not written twice, as ldconfig does it.
    """
    used = [*table.names, *table.paths, *table.folders]
    end = table.text.index(b"\0", max(used)) + 1 if used else table.start
    parts, offsets = [table.text[table.start : end]], []
    for _, name, path in new:
        is_end = path.endswith(b"/" + name)
        offsets.append((end + len(path) - len(name) if is_end else end + len(path) + 1, end))
        parts.append(path + b"\0" if is_end else path + b"\0" + name + b"\0")
        end += len(parts[-1])
    return b"".join(parts), offsets


def _moved(rows: bytes, by: int) -> "list[bytes]":
    """The rows, one by one, with `by` added to each offset in them: they are one number, and no sum in it overflows."""
    distance = ROW.pack(0, abs(by), abs(by), 0, 0) * (len(rows) // ROW.size)
    before, more = (int.from_bytes(each, sys.byteorder) for each in (rows, distance))
    moved = (before + more if by > 0 else before - more).to_bytes(len(rows), sys.byteorder)
    return [moved[at : at + ROW.size] for at in range(0, len(moved), ROW.size)]


def _file(rows: "list[bytes]", text: bytes, folders: "list[int]") -> bytes:
    """In the new format, which every loader since 2.2 reads."""
    end = HEADER.size + ROW.size * len(rows) + len(text)
    padding = bytes(-end % 4)
    extension = end + len(padding)
    if len(rows) > ldcache.ENTRY_LIMIT or extension > ldcache.SIZE_LIMIT:
        raise CacheError("it would become too large")
    header = HEADER.pack(ldcache.NEW_MAGIC, len(rows), len(text), ldcache.BYTE_ORDER, extension)
    return b"".join([header, *rows, text, padding, _extension(extension, folders)])


def _extension(start: int, folders: "list[int]") -> bytes:
    """Directory of sections, then the list of glibc-hwcaps folders (when there are any), then who wrote the file."""
    array = struct.pack(f"={len(folders)}I", *folders)
    sections = [(ldcache.SUBDIRECTORIES, len(array))] if folders else []
    sections.insert(0, (ldcache.GENERATOR, len(_GENERATED_BY)))
    behind = start + EXTENSION.size + SECTION.size * len(sections)
    where = {ldcache.SUBDIRECTORIES: behind, ldcache.GENERATOR: behind + len(array)}
    parts = [EXTENSION.pack(ldcache.EXTENSION_MAGIC, len(sections))]
    parts += [SECTION.pack(tag, 0, where[tag], size) for tag, size in sections]
    return b"".join([*parts, array, _GENERATED_BY])


def _check_file(data: bytes, listing: Listing, new: "list[Library]") -> None:
    """That it reads as it was meant, and the loader finds what was added in it."""
    table = ldcache.parse(data)
    if (ldcache.strings(table.text, table.names), table.flags, table.hwcaps) != (
        listing.names,
        listing.flags,
        listing.hwcaps,
    ):
        raise CacheError("it reads differently than it was written")
    wanted: "dict[tuple[int, bytes], bytes]" = {}
    for flags, name, path in new:
        wanted.setdefault((flags, name), path)
    for (flags, name), path in wanted.items():
        place = listing.find(name, flags)
        if place is None or not table.text.startswith(path + b"\0", table.paths[place]):
            raise CacheError(f"the loader would not find {_shown(name)} of the driver in it")


def _check_kept(names: "list[bytes]", before: Table, after: Listing) -> None:
    """That the loader finds what it found before."""
    if after.is_ordered():
        return
    if len(after.names) > SIMULATION_LIMIT:
        raise CacheError("it is large and not in the loader's order")
    earlier = Listing(names, before.flags, before.hwcaps, signed=after.signed)
    for flags, name in {*zip(before.flags, names)}:
        if after.find(name, flags) is None and earlier.find(name, flags) is not None:
            raise CacheError(f"the loader would no longer find {_shown(name)} in it")


def _shown(name: bytes) -> str:
    return name.decode("utf-8", "replace")
