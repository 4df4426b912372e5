"""ldconfig's order and the loader's search."""

from __future__ import annotations

import functools
import itertools
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpudock.plan.ldcache_order import Listing, char_is_signed, libcmp
from unit.caches import search

if TYPE_CHECKING:
    from unit.caches import Entry

NAMES = st.text("ab019._-+", max_size=10).map(str.encode)


def letter_by_letter(left: bytes, right: bytes, *, signed: bool = True) -> int:  # noqa: C901  so is glibc's
    """glibc's function, transcribed as it stands."""
    a, b = left + b"\0", right + b"\0"
    i = j = 0

    def is_digit(byte: int) -> bool:
        return 0x30 <= byte <= 0x39

    def char(byte: int) -> int:
        return byte - 256 if signed and byte > 127 else byte

    while a[i]:
        if is_digit(a[i]):
            if not is_digit(b[j]):
                return 1
            one, other = a[i] - 0x30, b[j] - 0x30
            i, j = i + 1, j + 1
            while is_digit(a[i]):
                one = (one * 10 + a[i] - 0x30 + 2**31) % 2**32 - 2**31
                i += 1
            while is_digit(b[j]):
                other = (other * 10 + b[j] - 0x30 + 2**31) % 2**32 - 2**31
                j += 1
            if one != other:
                return (one - other + 2**31) % 2**32 - 2**31
        elif is_digit(b[j]):
            return -1
        elif a[i] != b[j]:
            return char(a[i]) - char(b[j])
        else:
            i, j = i + 1, j + 1
    return char(a[i]) - char(b[j])


def _descending(left: bytes, right: bytes) -> int:
    return letter_by_letter(right, left)


DESCENDING = functools.cmp_to_key(_descending)


def sign(number: int) -> int:
    return (number > 0) - (number < 0)


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (b"libq9.so.1", b"libq10.so.1", -1),
        (b"libq01.so", b"libq1.so", 0),
        (b"lib1.so", b"liba.so", 1),  # a digit above everything else
        (b"lib", b"lib1", -1),
        (b"lib1", b"lib", 1),
        (b"", b"a", -1),
        (b"same", b"same", 0),
        (b"lib4294967297.so", b"lib1.so", 0),  # 2**32 + 1
        (b"lib2147483648.so", b"lib0.so", -1),  # wraps to the smallest
    ],
)
def test_libcmp(left: bytes, right: bytes, expected: int) -> None:
    assert sign(libcmp(left, right, signed=True)) == expected


@given(st.one_of(NAMES, st.binary(max_size=8)), st.one_of(NAMES, st.binary(max_size=8)), st.booleans())
def test_libcmp_is_glibcs(left: bytes, right: bytes, signed: bool) -> None:
    left, right = left.replace(b"\0", b""), right.replace(b"\0", b"")
    assert sign(libcmp(left, right, signed=signed)) == sign(letter_by_letter(left, right, signed=signed))


@given(st.text("012", min_size=8, max_size=30), st.text("012", min_size=8, max_size=30))
def test_long_numbers_wrap(left: str, right: str) -> None:
    one, other = left.encode(), right.encode()
    assert sign(libcmp(one, other, signed=True)) == sign(letter_by_letter(one, other))


def test_high_bytes_depend_on_the_architecture() -> None:
    assert libcmp(b"a\xff", b"ab", signed=True) < 0 < libcmp(b"a\xff", b"ab", signed=False)
    assert char_is_signed(0x0303)
    assert char_is_signed(0x0003)
    assert not char_is_signed(0x0A03)


@pytest.mark.parametrize(
    ("flags", "hwcap", "place"), [(0x0A03, 0, 1), (0x0003, 0, 0), (0x0303, 1 << 62, 1), (0x0303, 0, 0)]
)
def test_flags_and_capabilities_order_entries_of_a_name(flags: int, hwcap: int, place: int) -> None:
    assert Listing([b"a"], [flags], [hwcap], signed=True).insert(b"a", 0x0303) == place


def ordered(names: list[bytes]) -> bool:
    return Listing(names, [0] * len(names), [0] * len(names), signed=True).is_ordered()


@given(st.lists(NAMES, max_size=6), st.booleans())
def test_is_ordered(names: list[bytes], sort: bool) -> None:
    if sort:
        names.sort(key=DESCENDING)
    expected = all(letter_by_letter(a, b) >= 0 for a, b in itertools.pairwise(names))
    assert ordered(names) == expected
    blank = [name + b" x" for name in names]  # the slower way: such names are not split at blanks
    expected = all(letter_by_letter(a, b) >= 0 for a, b in itertools.pairwise(blank))
    assert ordered(blank) == expected


@given(NAMES, NAMES, st.booleans())
def test_a_listing_compares_as_the_loader_does(stands: bytes, name: bytes, known: bool) -> None:
    found = Listing([stands], [0], [0], [name] if known else [], signed=True)
    assert (found.find(name, 0) is not None) == (letter_by_letter(name, stands) == 0)
    assert found.insert(name, 0) == (letter_by_letter(name, stands) < 0)
    assert found.is_ordered()


def test_long_numbers_are_never_ordered() -> None:
    assert not ordered([b"lib1234567890.so"])
    assert ordered([b"lib123456789.so"])


def listing(names: list[bytes]) -> list[Entry]:
    names = sorted(names, key=DESCENDING)
    return [(0x0303, name, b"/lib/" + name, 0, 0, b"") for name in names]


def test_search_finds_every_name_and_no_other() -> None:
    rng = random.Random(3)
    names = [b"lib%s%d.so.%d" % (rng.choice((b"a", b"b")), number, number % 7) for number in range(300)]
    found = listing(names)
    assert all(search(found, name, 0x0303, signed=True) == b"/lib/" + name for name in names)
    assert search(found, b"libc1.so", 0x0303, signed=True) is None
    assert search(found, names[0], 0x0A03, signed=True) is None
    assert search([], b"a", 0x0303, signed=True) is None


def test_search_takes_the_first_plain_entry() -> None:
    found: list[Entry] = [
        (0x0A03, b"a", b"/arm", 0, 0, b""),
        (0x0303, b"a", b"/v3", 0, 1 << 62, b"v3"),
        (0x0303, b"a", b"/first", 0, 0, b""),
        (0x0303, b"a", b"/second", 0, 0, b""),
    ]
    assert search(found, b"a", 0x0303, signed=True) == b"/first"


def test_search_misses_what_an_ascending_file_holds() -> None:
    found = listing([b"liba.so", b"libb.so", b"libc.so"])[::-1]
    assert search(found, b"liba.so", 0x0303, signed=True) is None
