"""Tar streams, also hostile ones."""

import io
import random
import tarfile

import pytest

from gpudock.engine.build import tarwalk
from gpudock.engine.build.tarwalk import BrokenTarError, members
from unit.engine.build.archives import reader, tar

LONG = "folder/" * 30 + "file"


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("most", [1, 100, 1 << 20])
def test_what_tarfile_writes_is_read(form: int, most: int) -> None:
    names = ["./a", LONG if form != tarfile.USTAR_FORMAT else "a/b", "ünïcode", "last"]
    data = tar({name: name.encode() * 200 for name in names} | {"link": "a"}, form)
    found = [(each.name, each.kind, each.body.read(5)) for each in members(reader(data, most))]
    assert [name for name, _, _ in found] == [*(name.removeprefix("./") for name in names), "link"]
    assert [kind for _, kind, _ in found] == [b"0"] * 4 + [b"2"]
    assert found[3][2][: min(5, most)] == b"lastl"[: min(5, most)]


def test_device_nodes() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        node = tarfile.TarInfo("dev/nvidia0")
        node.type, node.devmajor = tarfile.CHRTYPE, 195
        archive.addfile(node)
    assert [(each.kind, each.major) for each in members(reader(out.getvalue()))] == [(tarwalk.CHARACTER, 195)]


def header(size: int, kind: bytes = b"0") -> bytes:
    member = tarfile.TarInfo("x")
    member.size, member.type = size, kind
    return member.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("kind", [b"L", b"x", b"g", b"K"])
def test_a_huge_extended_header_is_not_kept(kind: bytes) -> None:
    with pytest.raises(BrokenTarError, match="cannot be read"):
        list(members(reader(header(1 << 40, kind) + b"\0" * 4096)))


def test_endless_extended_headers_end() -> None:
    with pytest.raises(BrokenTarError):
        list(members(reader((header(512, b"x") + b"\0" * 512) * 5000)))


@pytest.mark.parametrize("cut", [1, 511, 513, 1500])
def test_a_cut_stream_is_an_error(cut: int) -> None:
    with pytest.raises(BrokenTarError):
        list(members(reader(tar({"a": b"x" * 3000})[:cut])))


def test_random_damage_never_crashes() -> None:
    chance = random.Random(4)
    whole = tar({LONG: b"x" * 700, "b": b"", "c": "d"}, tarfile.PAX_FORMAT)
    for _ in range(2000):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 8)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            for each in members(reader(bytes(data))):
                each.body.skip()
        except BrokenTarError:
            pass
