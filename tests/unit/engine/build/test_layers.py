"""Every layer of a saved image is looked at, in whatever form it comes."""

import gzip
from collections.abc import Callable

import pytest

from gpudock.engine.build import layers
from gpudock.engine.build.layers import look
from gpudock.engine.build.tarwalk import BrokenTarError, Member
from gpudock.errors import EngineError
from unit.engine.build.archives import digest, reader, saved, tar

CLEAN = tar({"etc/ld.so.cache": b"x", "bin/sh": b"y" * 5000})
BAD = tar({f"bad{number}": b"x" for number in range(30)})
EMPTY = b"\0" * 1024


def bad(member: Member) -> str:
    return "is bad" if member.name.startswith("bad") else ""


@pytest.mark.parametrize("packed", [False, True])
def test_findings_name_path_and_layer(*, packed: bool) -> None:
    found = look(reader(saved(CLEAN, BAD, EMPTY, packed=packed), 333), tuple(map(digest, (CLEAN, BAD, EMPTY))), bad)
    assert found.number == 30
    assert len(found.findings) == layers.SHOWN
    assert found.findings[0] == ("/bad0", "is bad", 2)
    assert found.cache
    first, *_, last = layers.lines(found)
    assert (first, last) == ("/bad0: is bad (layer 2)", "and 10 more")


def test_only_layers_of_the_image_count() -> None:
    assert look(reader(saved(CLEAN, BAD)), (digest(CLEAN),), bad).number == 0


def test_a_layer_that_did_not_come_is_an_error() -> None:
    with pytest.raises(EngineError) as caught:
        look(reader(saved(CLEAN)), (digest(CLEAN), digest(BAD)), bad)
    assert digest(BAD)[:20] in caught.value.why


def zstd() -> bytes:
    return tar({"blob": b"\x28\xb5\x2f\xfd" + b"x" * 600})


def broken_gzip() -> bytes:
    return tar({"blob": gzip.compress(CLEAN)[:-20]})


@pytest.mark.parametrize(("made", "error"), [(zstd, EngineError), (broken_gzip, BrokenTarError)])
def test_what_cannot_be_read_is_never_taken_for_clean(made: Callable[[], bytes], error: type[Exception]) -> None:
    with pytest.raises(error):
        look(reader(made()), (digest(CLEAN),), bad)


def test_a_bomb_is_read_in_little_memory() -> None:
    import tracemalloc

    bomb = gzip.compress(tar({"zeros": b"\0" * (64 << 20)}), 1)
    data = tar({"layer": bomb})
    tracemalloc.start()
    with pytest.raises(EngineError):
        look(reader(data), ("sha256:0",), bad)
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()
