import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from gpudock.env.archive import form, load
from gpudock.env.archive.form import About, Reader, Sums
from gpudock.errors import GpudockError
from gpudock.proc import Result

ID = "c" * 64


class Engine:
    """Takes an image as docker load does: when its input ends, whole or not."""

    def __init__(self) -> None:
        self.given = b""
        self.images: set[str] = set()
        self.ended_well = False

    def ask(self, *words: str, **_: Any) -> Result:
        if words[:2] == ("image", "inspect"):
            told = [{"Id": f"sha256:{ID}", "RootFS": {"Layers": ["sha256:1"]}}]
            return Result(0, json.dumps(told), "") if words[-1] in self.images else Result(1, "", "no such image")
        if words[:2] == ("image", "rm"):
            self.images.discard(words[-1])
        return Result(0, "", "")

    @contextmanager
    def feeding(self, *words: str) -> Iterator[Callable[[bytes], object]]:
        assert words == ("load",)
        parts: list[bytes] = []
        try:
            yield parts.append
            self.ended_well = True
        finally:
            self.given = b"".join(parts)
            if b"manifest.json" in self.given:
                self.images.add(ID)


def image(config: str = f"{ID}.json", tags: object = None, more: dict[str, object] | None = None) -> bytes:
    target = io.BytesIO()
    manifest = [{"Config": config, "RepoTags": tags, "Layers": ["l"]}]
    with tarfile.open(fileobj=target, mode="w") as packed:
        for name, data in {"layer.tar": b"x" * 3000, **(more or {}), "manifest.json": manifest}.items():
            content = data if isinstance(data, bytes) else json.dumps(data).encode()
            info = tarfile.TarInfo(name)
            info.size = len(content)
            packed.addfile(info, io.BytesIO(content))
    return target.getvalue()


def archive(whole: bytes, layers: tuple[str, ...] = ("sha256:1",), size: int = 1000) -> bytes:
    texts = {
        form.ABOUT: msgspec.json.encode(About(form.FORMAT, "seg", ID, layers)),
        "gpudock.yaml": b"",
        "gpudock.lock": b"",
    }
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    names = [form.piece_name(number, data) for number, data in enumerate(pieces)]
    sums = Sums(
        {name: hashlib.sha256(data).hexdigest() for name, data in texts.items()},
        tuple(name.partition("-")[2] for name in names),
        len(whole),
    )
    parts = [form.member(name, data) for name, data in texts.items()]
    parts += [form.member(name, data) for name, data in zip(names, pieces, strict=True)]
    return b"".join(parts) + form.member(form.SUMS, msgspec.json.encode(sums)) + form.end()


def loaded(engine: Any, data: bytes) -> str:
    return load.into_engine(engine, Reader(io.BytesIO(data).read), lambda _: None).id


def test_the_engine_gets_the_very_image() -> None:
    engine = Engine()
    assert loaded(engine, archive(image())) == ID
    assert engine.given == image()
    assert engine.ended_well


def test_one_that_is_there_is_only_verified() -> None:
    engine = Engine()
    engine.images.add(ID)
    assert loaded(engine, archive(image())) == ID
    assert engine.given == b""


@pytest.mark.parametrize("cut", [0, 700, 5000, 9000, -2000, -1100])
def test_a_cut_file_never_gives_the_engine_the_end(cut: int) -> None:
    engine = Engine()
    with pytest.raises(GpudockError):
        loaded(engine, archive(image())[:cut])
    assert not engine.ended_well
    assert not engine.images


def test_damage_in_the_last_piece_is_found_before_the_engine_has_it() -> None:
    engine = Engine()
    data = bytearray(archive(image(), size=4096))
    at = data.rindex(b"manifest.json")
    data[at + 600] ^= 1
    with pytest.raises(GpudockError, match="not a whole"):
        loaded(engine, bytes(data))
    assert not engine.images


@pytest.mark.parametrize(
    ("whole", "why"),
    [
        (image(tags=["debian:12"]), "name of its own choice"),
        (image(more={"repositories": {"debian": {"12": "x"}}}), "name of its own choice"),
        (
            image(more={"index.json": {"manifests": [{"annotations": {"io.containerd.image.name": "debian:12"}}]}}),
            "name of its own choice",
        ),
        (image(config="d" * 64 + ".json"), "another one"),
        (image(config="blobs/sha256/" + "e" * 64), "another one"),
    ],
)
def test_an_image_that_would_move_a_name_or_is_another_never_ends(whole: bytes, why: str) -> None:
    engine = Engine()
    with pytest.raises(GpudockError, match=why):
        loaded(engine, archive(whole))
    assert not engine.ended_well
    assert not engine.images


def test_other_layers_than_promised_are_taken_away_again() -> None:
    engine = Engine()
    with pytest.raises(GpudockError, match="not a whole"):
        loaded(engine, archive(image(), layers=("sha256:2",)))
    assert not engine.images
