"""Linker caches as values: files made from entries in any order, and whole entries read back."""

from __future__ import annotations

import struct
from itertools import accumulate
from typing import TYPE_CHECKING

from gpudock.plan import ldcache
from gpudock.plan.ldcache_order import Listing

if TYPE_CHECKING:
    from collections.abc import Sequence

Entry = tuple[int, bytes, bytes, int, int, bytes]  # flags, name, path, osversion, hwcap, name of a glibc-hwcaps folder


def build(found: Sequence[Entry]) -> bytes:
    """A file in the new format, with the entries in the order given."""
    folders = {name: index for index, name in enumerate(sorted({entry[5] for entry in found} - {b""}))}
    texts = list(dict.fromkeys([*[entry[1] for entry in found], *[entry[2] for entry in found], *folders]))
    first = ldcache.HEADER.size + ldcache.ROW.size * len(found)
    *places, end = accumulate([first, *[len(text) + 1 for text in texts]])
    offsets = dict(zip(texts, places, strict=True))
    extension = end + -end % 4
    parts = [ldcache.HEADER.pack(ldcache.NEW_MAGIC, len(found), end - first, ldcache.BYTE_ORDER, extension)]
    parts += [
        ldcache.ROW.pack(flags, offsets[name], offsets[path], osversion, hwcap + folders.get(folder, 0))
        for flags, name, path, osversion, hwcap, folder in found
    ]
    names = struct.pack(f"={len(folders)}I", *[offsets[name] for name in folders])
    sections = [(ldcache.SUBDIRECTORIES, len(names))] if folders else []
    behind = extension + ldcache.EXTENSION.size + ldcache.SECTION.size * len(sections)
    parts += [b"\0".join([*texts, b""]), bytes(-end % 4)]
    parts += [ldcache.EXTENSION.pack(ldcache.EXTENSION_MAGIC, len(sections))]
    parts += [ldcache.SECTION.pack(tag, 0, behind, size) for tag, size in sections]
    return b"".join([*parts, names])


def parse(data: bytes) -> list[Entry]:
    """The entries in file order; the bits of hwcap that would hold a folder's index are zero."""
    table = ldcache.parse(data)
    folders = ldcache.strings(table.text, table.folders)
    found: list[Entry] = []
    rows = zip(ldcache.ROW.iter_unpack(table.rows), *_strings(table), strict=True)
    for (flags, _, _, osversion, hwcap), name, path in rows:
        index = hwcap & 0xFFFFFFFF
        extended = ldcache.is_extended(hwcap)
        folder = folders[index] if extended else b""
        found.append((flags, name, path, osversion, hwcap - index if extended else hwcap, folder))
    return found


def _strings(table: ldcache.Table) -> tuple[list[bytes], list[bytes]]:
    return ldcache.strings(table.text, table.names), ldcache.strings(table.text, table.paths)


def search(found: Sequence[Entry], name: bytes, flags: int, *, signed: bool) -> bytes | None:
    """The path that the loader opens for `name`."""
    listing = Listing([one[1] for one in found], [one[0] for one in found], [one[4] for one in found], signed=signed)
    place = listing.find(name, flags)
    return None if place is None else found[place][2]
