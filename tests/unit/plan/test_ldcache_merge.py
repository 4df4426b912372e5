"""Adding the driver to an image's cache: it wins, nothing else is lost, and doing it again changes nothing."""

from __future__ import annotations

import functools
import random
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpudock.plan import ldcache
from gpudock.plan.ldcache import CacheError
from gpudock.plan.ldcache_merge import merge
from gpudock.plan.ldcache_order import libcmp
from unit.caches import build, parse, search

if TYPE_CHECKING:
    from unit.caches import Entry

FILES = Path(__file__).parent / "ldcache"
CUDA = (0x0303, "libcuda.so.1", "/usr/local/nvidia/lib64/libcuda.so.1")
ML = (0x0303, "libnvidia-ml.so.1", "/usr/local/nvidia/lib64/libnvidia-ml.so.1")
NAMES = st.text("ab019.-", min_size=1, max_size=8).map(lambda name: "lib" + name)
LIBRARIES = st.lists(st.tuples(st.sampled_from((0x0303, 0x0003)), NAMES, NAMES.map("/usr/lib/{}".format)), max_size=30)


def ordered(entries: list[Entry]) -> list[Entry]:
    def order(one: Entry, other: Entry) -> int:
        return libcmp(other[1], one[1], signed=True) or other[0] - one[0] or bool(other[4]) - bool(one[4])

    return sorted(entries, key=functools.cmp_to_key(order))


def cache(*libraries: tuple[int, str, str]) -> bytes:
    return build(ordered([(flags, name.encode(), path.encode(), 0, 0, b"") for flags, name, path in libraries]))


def found(data: bytes, name: str, flags: int = 0x0303) -> str | None:
    path = search(parse(data), name.encode(), flags, signed=True)
    return path.decode() if path else None


@pytest.mark.parametrize("form", ["new", "compat", "old"])
def test_into_files_of_ldconfig(form: str) -> None:
    old = (FILES / f"{form}.cache").read_bytes()
    merged = merge(old, [CUDA, ML])
    assert merged.conflicts == []
    assert found(merged.data, "libcuda.so.1") == CUDA[2]
    before, after = parse(old), parse(merged.data)
    assert [entry for entry in after if b"nvidia" not in entry[2]] == before
    assert all(found(merged.data, entry[1].decode()) for entry in before)
    assert merge(merged.data, [CUDA, ML]).data == merged.data


@pytest.mark.parametrize("old", [None, b"", b"not a cache", b"ld.so-1.7.0"])
def test_without_a_cache_one_is_made(old: bytes | None) -> None:
    merged = merge(old, [ML, CUDA])
    assert ldcache.entries(merged.data) == [ML, CUDA]
    assert found(merged.data, "libcuda.so.1") == CUDA[2]


def test_a_cache_that_the_loader_reads_but_we_do_not_is_refused() -> None:
    old = (FILES / "new.cache").read_bytes()
    strings = old.index(b"/usr/lib")
    broken = old[:strings] + old[strings:].replace(b"\0", b"x")
    with pytest.raises(CacheError):
        merge(broken, [CUDA])


def test_the_driver_wins_over_a_library_of_the_image() -> None:
    image = (0x0303, "libcuda.so.1", "/usr/lib/x86_64-linux-gnu/libcuda.so.1")
    merged = merge(cache(image), [CUDA])
    assert found(merged.data, "libcuda.so.1") == CUDA[2]
    assert ldcache.entries(merged.data) == [CUDA, image]


def test_variants_for_better_processors_would_win_and_are_dropped() -> None:
    old: list[Entry] = [
        (0x0303, b"libcuda.so.1", b"/hwcaps/v3/libcuda.so.1", 0, 1 << 62, b"v3"),
        (0x0303, b"libcuda.so.1", b"/tls/libcuda.so.1", 0, 1 << 63, b""),
        (0x0303, b"libaa.so.1", b"/hwcaps/v3/libaa.so.1", 0, 1 << 62, b"v3"),
    ]
    after = parse(merge(build(ordered(old)), [CUDA]).data)
    assert [entry[2] for entry in after] == [CUDA[2].encode(), b"/hwcaps/v3/libaa.so.1"]
    assert after[1][5] == b"v3"


def test_the_order_of_preference_is_kept() -> None:
    second = (0x0303, "libcuda.so.1", "/second")
    assert ldcache.entries(merge(cache(), [CUDA, second]).data) == [CUDA, second]


def test_both_architectures() -> None:
    small = (0x0003, "libcuda.so.1", "/usr/local/nvidia/lib/libcuda.so.1")
    merged = merge(cache((0x0303, "libz.so.1", "/z")), [CUDA, small])
    assert found(merged.data, "libcuda.so.1", 0x0003) == small[2]
    assert found(merged.data, "libcuda.so.1", 0x0303) == CUDA[2]
    assert merge(merged.data, [CUDA, small]).data == merged.data


def test_entries_of_an_earlier_start_are_replaced() -> None:
    first = merge(cache((0x0303, "libz.so.1", "/z")), [CUDA, ML], "/usr/local/nvidia").data
    second = merge(first, [ML], "/usr/local/nvidia").data
    assert ldcache.entries(second) == [(0x0303, "libz.so.1", "/z"), ML]
    assert ldcache.entries(merge(cache((0x0303, "a", "/usr/local/nvidia2/a")), [ML], "/usr/local/nvidia").data)[1:]


def test_names_that_the_loader_cannot_tell_apart_are_reported() -> None:
    merged = merge(cache((0x0303, "libq01.so", "/image/libq01.so")), [(0x0303, "libq1.so", "/driver/libq1.so")])
    assert merged.conflicts == [("libq1.so", "libq01.so")]
    assert found(merged.data, "libq1.so") == "/driver/libq1.so"


def test_two_of_the_driver_that_the_loader_cannot_tell_apart() -> None:
    with pytest.raises(CacheError, match=r"would not find libq01\.so"):
        merge(None, [(0x0303, "libq1.so", "/a"), (0x0303, "libq01.so", "/b")])


@pytest.mark.parametrize(
    "library",
    [
        (0x0303, "", "/a"),
        (0x0303, "a/b", "/a"),
        (0x0303, "a", "a"),
        (0x0303, "a\0", "/a"),
        (0x0303, "a" * 4096, "/a"),
        (-1, "a", "/a"),
        (1 << 31, "a", "/a"),
    ],
)
def test_libraries_that_cannot_be_listed(library: tuple[int, str, str]) -> None:
    with pytest.raises(CacheError, match="cannot be listed"):
        merge(None, [library])


@given(LIBRARIES, st.lists(NAMES, min_size=1, max_size=8, unique=True))
def test_nothing_is_lost(image: list[tuple[int, str, str]], sonames: list[str]) -> None:
    added = [(0x0303, name, f"/driver/{name}") for name in sonames]
    old = cache(*image)
    try:
        merged = merge(old, added)
    except CacheError:
        equal = [(a, b) for a in sonames for b in sonames if a < b and libcmp(a.encode(), b.encode(), signed=True) == 0]
        assert equal, "nothing else is a reason to refuse"
        return
    assert all(found(merged.data, name) == f"/driver/{name}" for name in sonames)
    assert all(found(merged.data, name, flags) for flags, name, _ in image)
    assert merge(merged.data, added).data == merged.data
    before = [entry for entry in ldcache.entries(old) if entry not in added]
    assert [entry for entry in ldcache.entries(merged.data) if entry not in added] == before


def long_numbers(count: int) -> list[Entry]:
    """As ldconfig itself would write them: sorted by a comparison that is no order, so that the loader misses some."""
    rng = random.Random(4)
    return ordered([(0x0303, b"lib%d.so" % rng.randrange(10**9, 10**10), b"/x", 0, 0, b"") for _ in range(count)])


def test_a_cache_out_of_order_keeps_what_was_found() -> None:
    old = long_numbers(300)
    names = {entry[1] for entry in old}
    before = {name for name in names if search(old, name, 0x0303, signed=True)}
    assert before < names
    try:
        after = parse(merge(build(old), [CUDA, ML]).data)
    except CacheError as error:
        assert "no longer find" in str(error) or "would not find" in str(error)  # noqa: PT017
    else:
        assert all(search(after, name, 0x0303, signed=True) for name in before)


def test_a_large_cache_out_of_order_is_refused_soon() -> None:
    old = [(0x0303, b"liba%d.so" % number, b"/x", 0, 0, b"") for number in range(12_000)]  # ascending
    with pytest.raises(CacheError, match=r"order|would not find"):
        merge(build([*old, (0x0303, b"lib9999999999.so", b"/x", 0, 0, b"")]), [CUDA])
