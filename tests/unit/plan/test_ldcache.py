"""The linker cache read and written: files of the real ldconfig, hand-made ones, and broken ones."""

from __future__ import annotations

import functools
import random
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpudock.plan import ldcache
from gpudock.plan.ldcache import CacheError
from gpudock.plan.ldcache_merge import merge
from unit.caches import build, parse

if TYPE_CHECKING:
    from unit.caches import Entry

FILES = Path(__file__).parent / "ldcache"  # by ldconfig of glibc 2.36, with -c new, compat and old
FOLDER = "/usr/lib/x86_64-linux-gnu"
V2, V3 = b"x86-64-v2", b"x86-64-v3"
# What `ldconfig -p -C new.cache` prints.
LISTED = [
    ("libz.so.1", f"{FOLDER}/glibc-hwcaps/x86-64-v3/libz.so.1.2.13", V3),
    ("libz.so.1", "/usr/local/lib/libz.so.1", b""),
    ("libz.so.1", f"{FOLDER}/libz.so.1", b""),
    ("libstdc++.so.6", f"{FOLDER}/libstdc++.so.6", b""),
    ("libssl.so.3", f"{FOLDER}/libssl.so.3", b""),
    ("libq10.so.1", f"{FOLDER}/libq10.so.1", b""),
    ("libq10-2.0.so.0", f"{FOLDER}/libq10-2.0.so.0", b""),
    ("libq9.so.1", f"{FOLDER}/libq9.so.1", b""),
    ("libfoo.so.12", f"{FOLDER}/libfoo.so.12", b""),
    ("libfoo.so.2", f"{FOLDER}/glibc-hwcaps/x86-64-v2/libfoo.so.2", V2),
    ("libfoo.so.2", f"{FOLDER}/glibc-hwcaps/x86-64-v3/libfoo.so.2", V3),
    ("libfoo.so.2", f"{FOLDER}/libfoo.so.2", b""),
    ("lib_x.so.1", f"{FOLDER}/lib_x.so.1", b""),
    ("libOpenCL.so.1", f"{FOLDER}/libOpenCL.so.1", b""),
]
NAMES = st.binary(min_size=1, max_size=12).filter(lambda name: b"\0" not in name)
ENTRIES = st.lists(
    st.one_of(
        st.tuples(
            st.integers(-(1 << 31), (1 << 31) - 1),
            NAMES,
            NAMES,
            st.integers(0, (1 << 32) - 1),
            st.integers(0, (1 << 61) - 1),
            st.just(b""),
        ),
        st.tuples(
            st.just(0x0303), NAMES, NAMES, st.just(0), st.integers(0, 1023).map(lambda n: 1 << 62 | n << 32), NAMES
        ),
    ),
    max_size=20,
)


def hand_made(*strings: bytes, entries: tuple[tuple[int, int, int, int, int], ...], **header: int) -> bytes:
    """A new-format file; entries are (flags, index of name, index of path, osversion, hwcap)."""
    start = 48 + 24 * len(entries)
    offsets = [start + sum(len(text) + 1 for text in strings[:index]) for index in range(len(strings))]
    table = b"".join(text + b"\0" for text in strings)
    rows = [
        struct.pack("=iIIIQ", flags, offsets[n], offsets[p], version, hwcap) for flags, n, p, version, hwcap in entries
    ]
    head = struct.pack(
        "=20sIIB3xI12x",
        b"glibc-ld.so.cache1.1",
        header.get("count", len(entries)),
        len(table),
        header.get("order", 2),
        header.get("extension", 0),
    )
    return head + b"".join(rows) + table


@pytest.mark.parametrize("form", ["new", "compat", "old"])
def test_files_of_ldconfig(form: str) -> None:
    data = (FILES / f"{form}.cache").read_bytes()
    entries = parse(data)
    assert ldcache.parse(data).form == form
    folder = {True: b"", False: None}[form == "old"]  # the old format knows no glibc-hwcaps
    assert [(entry[1].decode(), entry[2].decode(), entry[5]) for entry in entries] == [
        (name, path, sub if folder is None else folder) for name, path, sub in LISTED
    ]
    assert {entry[0] for entry in entries} == {0x0303}


@pytest.mark.parametrize("form", ["new", "compat", "old"])
def test_written_again_as_new(form: str) -> None:
    data = (FILES / f"{form}.cache").read_bytes()
    again = merge(data, []).data
    assert (ldcache.parse(again).form, parse(again)) == ("new", parse(data))


def test_entries_for_discovery() -> None:
    found = ldcache.entries((FILES / "new.cache").read_bytes())
    assert found == [(0x0303, name, path) for name, path, _ in LISTED]


def test_undecodable_names_survive() -> None:
    data = build([(0x0303, b"lib\xff.so", b"/lib\xfe/x", 0, 0, b"")])
    assert ldcache.entries(data) == [(0x0303, "lib\udcff.so", "/lib\udcfe/x")]


@given(ENTRIES)
def test_build_and_parse(entries: list[Entry]) -> None:
    assert parse(build(entries)) == entries


def test_strings_may_overlap_and_the_byte_order_may_be_unsaid() -> None:
    path = b"/usr/lib/libz.so.1"
    start = 48 + 24
    data = struct.pack("=20sIIB3xI12x", b"glibc-ld.so.cache1.1", 1, len(path) + 1, 0, 0)
    data += struct.pack("=iIIIQ", 0x0303, start + 9, start, 0, 0) + path + b"\0"
    assert ldcache.entries(data) == [(0x0303, "libz.so.1", "/usr/lib/libz.so.1")]


def test_osversion_and_old_hardware_bits_are_kept() -> None:
    data = hand_made(b"liba.so", b"/a", entries=((3, 0, 1, 0x20600, 1 << 3),))
    assert parse(data) == [(3, b"liba.so", b"/a", 0x20600, 8, b"")]
    assert parse(merge(data, []).data) == parse(data)


GOOD = hand_made(b"liba.so", b"/a", entries=((0x0303, 0, 1, 0, 0),))


@pytest.mark.parametrize(
    ("data", "ignored"),
    [
        (b"", True),
        (b"\x7fELF" + bytes(100), True),
        (GOOD[:47], True),
        (GOOD[:60], True),  # shorter than its table: the loader looks no further
        (hand_made(b"a", b"/a", entries=((3, 0, 1, 0, 0),), order=1), True),
        (hand_made(b"a", b"/a", entries=((3, 0, 1, 0, 0),), order=3), True),
        (hand_made(b"a", b"/a", entries=((3, 0, 1, 0, 0),), order=6), False),
        (GOOD[:-1], False),  # the last string has no end
        (hand_made(b"a", b"/a", entries=((3, 0, 1, 0, 1 << 62),)), False),  # no list of folders
        (hand_made(b"a", b"/a", entries=((3, 0, 1, 0, 0),), extension=2), False),
        (hand_made(b"a", b"/a", entries=((3, 0, 1, 0, 0),), extension=1 << 20), False),
        (hand_made(b"a", b"/a", entries=((3, 0, 1, 0, 0),), extension=48), False),
        (hand_made(b"a" * 5000, b"/a", entries=((3, 0, 1, 0, 0),)), False),
        (b"ld.so-1.7.0\0" + struct.pack("=I", 5) + bytes(10), True),
    ],
)
def test_broken_files(data: bytes, *, ignored: bool) -> None:
    with pytest.raises(CacheError) as raised:
        ldcache.entries(data)
    assert raised.value.ignored is ignored
    assert raised.value.exit_code == 3


def test_limits() -> None:
    with pytest.raises(CacheError, match="16 MiB"):
        ldcache.parse(b"glibc-ld.so.cache1.1" + bytes(16 << 20))
    with pytest.raises(CacheError, match="200001 libraries"):
        ldcache.parse(struct.pack("=20sIIB3xI12x", b"glibc-ld.so.cache1.1", 200_001, 0, 2, 0) + bytes(24 * 200_001))
    with pytest.raises(CacheError, match="too large"):
        merge(build([(3, b"a", b"/a", 0, 0, b"")] * 200_000), [(3, "b", "/b")])


def test_overlapping_names_cannot_fill_the_memory() -> None:
    """Each of 100,000 offsets into one long string is a name of up to 4 KiB: 400 MB out of 2.4 MB."""
    count = 100_000
    start = 48 + 24 * count
    rows = b"".join(struct.pack("=iIIIQ", 3, start + index, start, 0, 0) for index in range(count))
    text = (b"x" * 4000 + b"\0") * (count // 4000 + 1)
    head = struct.pack("=20sIIB3xI12x", b"glibc-ld.so.cache1.1", count, len(text), 2, 0)
    for read in (ldcache.entries, functools.partial(merge, added=[])):
        with pytest.raises(CacheError, match="64 MiB together"):
            read(head + rows + text)


def test_ten_thousand_mutations() -> None:
    """Broken files give CacheError and nothing else, and soon."""
    originals = [(FILES / f"{form}.cache").read_bytes() for form in ("new", "compat", "old")]
    rng = random.Random(20)
    verdicts = {True: 0, False: 0}
    begun = time.process_time()
    for turn in range(10_000):
        data = bytearray(originals[turn % 3])
        for _ in range(rng.randint(1, 4)):
            match rng.randrange(4):
                case 0:
                    data[rng.randrange(len(data))] = rng.randrange(256)
                case 1:
                    offset = rng.randrange(len(data) - 4)
                    data[offset : offset + 4] = struct.pack("=I", rng.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF, len(data))))
                case 2:
                    del data[rng.randrange(1, len(data)) :]
                    data += bytes(8)
                case _:
                    offset = rng.randrange(len(data))
                    data[offset:offset] = rng.randbytes(rng.randrange(1, 30))
        try:
            merge(bytes(data), [(0x0303, "libcuda.so.1", "/libcuda.so.1")])
        except CacheError:
            verdicts[False] += 1
        else:
            verdicts[True] += 1
    assert time.process_time() - begun < 30
    assert min(verdicts.values()) > 500


@given(st.binary(max_size=200))
@settings(max_examples=300)
def test_any_bytes(data: bytes) -> None:
    for head in (b"", b"glibc-ld.so.cache1.1", b"ld.so-1.7.0\0"):
        try:
            ldcache.entries(head + data)
        except CacheError as error:
            assert error.why  # noqa: PT017  that there may be none is the point


@pytest.mark.parametrize(
    ("machine", "bits", "e_flags", "flags"),
    [
        (62, 64, 0, 0x0303),
        (62, 32, 0, 0x0803),
        (3, 32, 0, 0x0003),
        (183, 64, 0, 0x0A03),
        (40, 32, 0x05000400, 0x0903),
        (40, 32, 0x05000200, 0x0B03),
        (40, 32, 0x05000000, 0x0003),
        (40, 32, 0x04000400, 0x0003),
        (22, 64, 0, 0x0403),
        (21, 64, 2, 0x0503),
        (243, 64, 5, 0x1003),
        (243, 64, 1, 0x0F03),
        (243, 64, 2, None),
        (258, 64, 0x43, 0x1203),
        (258, 64, 0x41, 0x1103),
        (3, 64, 0, None),
        (8, 32, 0, None),
    ],
)
def test_architectures(machine: int, bits: int, e_flags: int, flags: int | None) -> None:
    assert ldcache.cache_flags(machine, bits, e_flags) == flags
