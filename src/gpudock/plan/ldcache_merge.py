"""Adds the driver's libraries to an image's linker cache, without ldconfig. Pure.

What the image's cache holds stays in its order: glibc's comparison is no order for names with long numbers, so sorting
again could hide libraries that are found today. The result is written only after the loader's own search, simulated,
found every added library where it should and every old name that it found before.
"""

from gpudock.plan.ldcache import STRING_LIMIT, CacheError, build, parse
from gpudock.plan.ldcache_order import char_is_signed, compare, is_ordered, libcmp, search

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Optional

    from gpudock.plan.ldcache import Entry

SIMULATION_LIMIT = 10_000  # entries of a cache out of order; the search for each of them takes a second then


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
    new = list(dict.fromkeys(_entry(*library) for library in added))
    before = _parse(old)
    signed = all(char_is_signed(entry[0]) for entry in new)
    below = replaces.encode("utf-8", "surrogateescape").rstrip(b"/") + b"/" if replaces else None
    kept = _kept(before, new, below)
    result = list(kept)
    conflicts: "list[tuple[str, str]]" = []
    for entry in reversed(new):
        place = _place(result, entry, signed=signed)
        result.insert(place, entry)
        conflicts += _conflicts(result, place, signed=signed)
    _check(kept, result, new, signed=signed)
    data = build(result)
    if parse(data).entries != result:
        raise CacheError("it reads differently than it was written")
    return Merged(data, list(dict.fromkeys(reversed(conflicts))))


def _parse(old: "Optional[bytes]") -> "list[Entry]":
    try:
        return parse(old).entries if old else []
    except CacheError as error:
        if error.ignored:
            return []
        raise


def _entry(flags: int, soname: str, path: str) -> "Entry":
    name, place = soname.encode("utf-8", "surrogateescape"), path.encode("utf-8", "surrogateescape")
    good = 0 <= flags < 1 << 31 and name and b"/" not in name and place.startswith(b"/")
    if not good or b"\0" in name + place or max(len(name), len(place)) >= STRING_LIMIT:
        raise CacheError(f"{soname!r:.80} at {path!r:.80} cannot be listed in one")
    return (flags, name, place, 0, 0, b"")


def _kept(before: "list[Entry]", new: "list[Entry]", below: "Optional[bytes]") -> "list[Entry]":
    """The old entries that stay. Variants of an added SONAME for better processors would win over it: they go."""
    again = set(new)
    sonames = {entry[1] for entry in new}
    libraries = {entry[:2] for entry in new}
    return [
        entry
        for entry in before
        if not (entry[1] in sonames and (entry in again or (entry[4] and entry[:2] in libraries)))
        and not (below and entry[2].startswith(below))
    ]


def _place(found: "list[Entry]", entry: "Entry", *, signed: bool) -> int:
    low, high = 0, len(found)
    while low < high:
        middle = (low + high) // 2
        if compare(found[middle], entry, signed=signed) < 0:
            low = middle + 1
        else:
            high = middle
    return low


def _conflicts(found: "list[Entry]", place: int, *, signed: bool) -> "Iterable[tuple[str, str]]":
    """Names around `place` that are equal to the one there for the loader, but not letter by letter."""
    name = found[place][1]
    for step in (-1, 1):
        here = place + step
        while 0 <= here < len(found) and libcmp(name, found[here][1], signed=signed) == 0:
            if found[here][1] != name:
                yield name.decode("utf-8", "replace"), found[here][1].decode("utf-8", "replace")
            here += step


def _check(kept: "list[Entry]", result: "list[Entry]", new: "list[Entry]", *, signed: bool) -> None:
    wanted: "dict[tuple[int, bytes], bytes]" = {}
    for flags, name, path, *_ in new:
        wanted.setdefault((flags, name), path)
    for (flags, name), path in wanted.items():
        if search(result, name, flags, signed=signed) != path:
            raise CacheError(f"the loader would not find {name.decode('utf-8', 'replace')} of the driver in it")
    if is_ordered([entry[1] for entry in result], signed=signed):
        return
    if len(result) > SIMULATION_LIMIT:
        raise CacheError("it is large and not in the loader's order")
    for flags, name in {entry[:2] for entry in kept}:
        if search(result, name, flags, signed=signed) is None and search(kept, name, flags, signed=signed) is not None:
            raise CacheError(f"the loader would no longer find {name.decode('utf-8', 'replace')} in it")
