"""The order in which ldconfig lists a linker cache, and the search that the loader makes in it. Pure.

Names descend by `libcmp`; entries of one name by flags; those with a hardware capability come before the plain ones.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Optional

_DIGITS = b"0123456789"
_OTHERS = bytes((*range(48), *range(58, 256)))
_AS_ZERO = bytes.maketrans(_DIGITS, b"0" * 10)
_DIGITS_BLANK = bytes.maketrans(_DIGITS, b" " * 10)
_DIGITS_ABOVE = bytes.maketrans(_DIGITS, bytes(range(0xF0, 0xFA)))
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


def _keys(names: "Sequence[bytes]") -> "Optional[list[bytes]]":
    """For each name, bytes that compare as the names do: each number nine digits wide, in digits above all letters.
    Ten times faster than libcmp. None where only that tells: numbers of ten and more digits wrap; blanks, no ASCII.
    """
    if not names:
        return []
    text = b"\0" + b"\0".join(names) + b"\0"
    if _wraps(text) or not text.isascii() or len(text.split()) != 1:
        return None
    between = text.translate(_DIGITS_BLANK).split()
    parts = [b""] * (2 * len(between) - 1)
    parts[::2] = between
    parts[1::2] = [number.zfill(9) for number in text.translate(_OTHERS_BLANK).split()]
    return b"".join(parts).translate(_DIGITS_ABOVE).split(b"\0")[1:-1]


def _wraps(text: bytes) -> bool:
    return b"0" * 10 in text.translate(_AS_ZERO)


class Listing:
    """The libraries of a cache by columns, as the loader goes through them. `sought`: names that will be asked for."""

    __slots__ = ("_keys", "_sought", "flags", "hwcaps", "names", "signed")

    def __init__(
        self,
        names: "list[bytes]",
        flags: "list[int]",
        hwcaps: "list[int]",
        sought: "Sequence[bytes]" = (),
        *,
        signed: bool,
    ) -> None:
        self.names = names
        self.flags = flags
        self.hwcaps = hwcaps
        self.signed = signed  # see char_is_signed
        self._keys = _keys([*sought, *names])
        self._sought = dict(zip(sought, self._keys or ()))
        if self._keys and sought:
            del self._keys[: len(sought)]

    def is_ordered(self) -> bool:
        """Whether a binary search finds each name, whatever else is looked for.

        Numbers of ten and more digits wrap, and libcmp is then no order any more: such names are never called ordered.
        """
        if self._keys is not None:
            return self._keys == sorted(self._keys, reverse=True)
        if _wraps(b"\0".join(self.names)):
            return False
        previous = self.names[0]
        for name in self.names:
            if name != previous and libcmp(previous, name, signed=self.signed) < 0:
                return False
            previous = name
        return True

    def insert(self, name: bytes, flags: int) -> int:
        """Add a plain entry before all that it stands level with. Returns where."""
        key = self._key(name)
        low, high = 0, len(self.names)
        while low < high:
            middle = (low + high) // 2
            # Negative when what stands there comes before a plain entry; 0 when ldconfig would not care.
            order = self._order(name, key, middle) or flags - self.flags[middle] or -(self.hwcaps[middle] > 0)
            if order < 0:
                low = middle + 1
            else:
                high = middle
        self.names.insert(low, name)
        self.flags.insert(low, flags)
        self.hwcaps.insert(low, 0)
        if self._keys is not None:
            self._keys.insert(low, key)
        return low

    def find(self, name: bytes, flags: int) -> "Optional[int]":
        """What the loader of architecture `flags` opens for `name`, on a machine without glibc-hwcaps."""
        key = self._key(name)
        left, right = 0, len(self.names) - 1
        while left <= right:
            middle = (left + right) // 2
            order = self._order(name, key, middle)
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
        key = self._key(name)
        for step in (-1, 1):
            here = place + step
            while 0 <= here < len(self.names) and self._order(name, key, here) == 0:
                if self.names[here] != name:
                    yield self.names[here]
                here += step

    def _key(self, name: bytes) -> bytes:
        """Of a name that is asked for; one that has none takes away everybody's."""
        if self._keys is None:
            return b""
        if name not in self._sought:
            found = _keys([name])
            if found is None:
                self._keys = None
                return b""
            self._sought[name] = found[0]
        return self._sought[name]

    def _order(self, name: bytes, key: bytes, index: int) -> int:
        """As libcmp of `name` and what stands at `index`; names descend."""
        if self._keys is None:
            return libcmp(name, self.names[index], signed=self.signed)
        other = self._keys[index]
        return (key > other) - (key < other)

    def _first(self, middle: int, right: int, name: bytes, flags: int) -> "Optional[int]":
        key = self._key(name)
        while middle and self._order(name, key, middle - 1) == 0:
            middle -= 1
        while middle <= right and self._order(name, key, middle) == 0:
            if self.flags[middle] == flags and not self.hwcaps[middle]:
                return middle
            middle += 1
        return None
