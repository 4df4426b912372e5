"""The order in which ldconfig lists a linker cache, and the search that the loader makes in it. Pure.

Names descend by `libcmp`; entries of one name by flags; those with a hardware capability come before the plain ones.
"""

from itertools import repeat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Optional

_DIGITS = b"0123456789"
_OTHERS = bytes((*range(48), *range(58, 256)))
_AS_ZERO = bytes.maketrans(_DIGITS, b"0" * 10)
_DIGITS_BLANK = bytes.maketrans(_DIGITS, b" " * 10)
_OTHERS_BLANK = bytes.maketrans(_OTHERS, b" " * 246)
# Architectures on which a plain C char is unsigned: ppc, s390, arm and riscv.
_UNSIGNED = frozenset((0x0403, 0x0503, 0x0903, 0x0A03, 0x0B03, 0x0F03, 0x1003))


def char_is_signed(flags: int) -> bool:
    """Whether the loader of that architecture takes bytes above 0x7f for negative."""
    return flags not in _UNSIGNED


def libcmp(left: bytes, right: bytes, *, signed: bool) -> int:
    """As glibc's _dl_cache_libcmp, the sign of it: digits as numbers that wrap at 32 bits, above everything else."""
    start = 0
    for one, other in zip(left, right):
        if one != other:
            break
        start += 1
    else:
        if len(left) == len(right):
            return 0
        one, other = (left[start], 0) if start < len(left) else (0, right[start])
    if 48 <= one <= 57 or 48 <= other <= 57 or (start and 48 <= left[start - 1] <= 57):
        return _by_numbers(left, right, start, signed=signed)
    return _char(one, signed=signed) - _char(other, signed=signed)


def _by_numbers(left: bytes, right: bytes, start: int, *, signed: bool) -> int:
    """The same, when the first difference, at `start`, is at or in a number."""
    while start and 48 <= left[start - 1] <= 57:
        start -= 1
    one_end, other_end = _run_end(left, start), _run_end(right, start)
    if start in {one_end, other_end}:  # a digit beats everything else
        return (one_end > other_end) - (one_end < other_end)
    one, other = _wrapped(int(left[start:one_end])), _wrapped(int(right[start:other_end]))
    if one != other:
        return _wrapped(one - other)
    return libcmp(left[one_end:], right[other_end:], signed=signed)


def _run_end(name: bytes, start: int) -> int:
    while start < len(name) and 48 <= name[start] <= 57:
        start += 1
    return start


def _wrapped(number: int) -> int:
    return ((number + 0x80000000) & 0xFFFFFFFF) - 0x80000000  # a C int


def _char(byte: int, *, signed: bool) -> int:
    return byte - 256 if signed and byte > 0x7F else byte


def is_ordered(names: "Sequence[bytes]", *, signed: bool) -> bool:
    """Whether a binary search among `names` finds each of them, whatever else is looked for.

    Numbers of ten and more digits wrap, and libcmp is then no order any more: such names are never called ordered.
    """
    text = b"\0" + b"\0".join(names) + b"\0"
    if b"0" * 10 in text.translate(_AS_ZERO):
        return False
    if text.isascii() and len(text.split()) == 1:
        keys = _keys(text)
        return keys == sorted(keys, reverse=True)
    previous = names[0]
    for name in names:
        if name != previous and libcmp(previous, name, signed=signed) < 0:
            return False
        previous = name
    return True


def _keys(text: bytes) -> "list[bytes]":
    """For each name in `text`, bytes that compare as the names do: each number made nine digits wide, behind 0xff.

    Ten times faster than libcmp; the names are ASCII without blanks, and set off by NULs.
    """
    between = text.translate(_DIGITS_BLANK).split()
    numbers = map(bytes.zfill, text.translate(_OTHERS_BLANK).split(), repeat(9))
    return b"".join([*map(b"%b\xff%b".__mod__, zip(between, numbers)), between[-1]]).split(b"\0")[1:-1]


class Listing:
    """The libraries of a cache by columns, as the loader goes through them."""

    __slots__ = ("flags", "hwcaps", "names", "signed")

    def __init__(self, names: "list[bytes]", flags: "list[int]", hwcaps: "list[int]", *, signed: bool) -> None:
        self.names = names
        self.flags = flags
        self.hwcaps = hwcaps
        self.signed = signed  # see char_is_signed

    def insert(self, name: bytes, flags: int) -> int:
        """Add a plain entry before all that it stands level with. Returns where."""
        low, high = 0, len(self.names)
        while low < high:
            middle = (low + high) // 2
            if self._compare(middle, name, flags) < 0:
                low = middle + 1
            else:
                high = middle
        self.names.insert(low, name)
        self.flags.insert(low, flags)
        self.hwcaps.insert(low, 0)
        return low

    def find(self, name: bytes, flags: int) -> "Optional[int]":
        """What the loader of architecture `flags` opens for `name`, on a machine without glibc-hwcaps."""
        left, right = 0, len(self.names) - 1
        while left <= right:
            middle = (left + right) // 2
            order = libcmp(name, self.names[middle], signed=self.signed)
            if order < 0:
                left = middle + 1
            elif order > 0:
                right = middle - 1
            else:
                return self._first(middle, right, name, flags)
        return None

    def unlike(self, place: int) -> "Iterator[bytes]":
        """Names around `place` that are equal to the one there for the loader, but not letter by letter."""
        name = self.names[place]
        for step in (-1, 1):
            here = place + step
            while 0 <= here < len(self.names) and libcmp(name, self.names[here], signed=self.signed) == 0:
                if self.names[here] != name:
                    yield self.names[here]
                here += step

    def _compare(self, index: int, name: bytes, flags: int) -> int:
        """Negative when what stands at `index` comes before a plain entry; 0 when ldconfig would not care."""
        order = libcmp(name, self.names[index], signed=self.signed)  # descending
        if order or self.flags[index] != flags:
            return order or flags - self.flags[index]
        return -1 if self.hwcaps[index] else 0

    def _first(self, middle: int, right: int, name: bytes, flags: int) -> "Optional[int]":
        while middle and libcmp(name, self.names[middle - 1], signed=self.signed) == 0:
            middle -= 1
        while middle <= right and libcmp(name, self.names[middle], signed=self.signed) == 0:
            if self.flags[middle] == flags and not self.hwcaps[middle]:
                return middle
            middle += 1
        return None
