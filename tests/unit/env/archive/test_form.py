import hashlib
import io
import tarfile

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpudock.env.archive import form
from gpudock.env.archive.form import About, DamagedError, Reader, Sums
from gpudock.errors import InputError

TEXTS = {
    form.ABOUT: msgspec.json.encode(About(form.FORMAT, "seg", "a" * 64, ("sha256:1",))),
    "gpudock.yaml": b"name: seg\n",
    "gpudock.lock": b"{}\n",
}


def file(*pieces: bytes, texts: dict[str, bytes] = TEXTS, sums: Sums | None = None) -> bytes:
    names = [form.piece_name(number, data) for number, data in enumerate(pieces)]
    told = sums or Sums(
        {name: hashlib.sha256(data).hexdigest() for name, data in texts.items()},
        tuple(name.partition("-")[2] for name in names),
        sum(map(len, pieces)),
    )
    parts = [form.member(name, data) for name, data in texts.items()]
    parts += [form.member(name, data) for name, data in zip(names, pieces, strict=True)]
    return b"".join(parts) + form.member(form.SUMS, msgspec.json.encode(told)) + form.end()


def read(data: bytes) -> list[tuple[bytes, bool]]:
    return [(piece.data, piece.last) for piece in Reader(io.BytesIO(data).read).pieces()]


def test_what_is_written_is_read_back() -> None:
    assert read(file(b"one" * 1000, b"two")) == [(b"one" * 1000, False), (b"two", True)]
    assert Reader(io.BytesIO(file(b"x")).read).about.name == "seg"


def test_any_tar_program_reads_it() -> None:
    with tarfile.open(fileobj=io.BytesIO(file(b"one", b"two"))) as packed:
        names = packed.getnames()
        pieces = [packed.extractfile(name) for name in names if name.startswith("image/")]
        assert b"".join(each.read() for each in pieces if each) == b"onetwo"
    assert names[:3] == ["about.json", "gpudock.yaml", "gpudock.lock"]


@given(st.data())
def test_a_file_that_ends_anywhere_is_not_whole(data: st.DataObject) -> None:
    whole = file(b"one" * 700, b"two" * 300)
    cut = data.draw(st.integers(0, len(whole) - len(form.end()) - 513))  # after that nothing is missing
    with pytest.raises(InputError):
        read(whole[:cut])


@given(st.integers(0, 2**32), st.integers(1, 255))
def test_no_changed_byte_of_any_content_passes(at: int, change: int) -> None:
    whole = bytearray(file(b"one" * 700, b"two" * 300))
    at %= len(whole) - len(form.end())
    whole[at] ^= change
    expected = [(b"one" * 700, False), (b"two" * 300, True)]
    try:
        found = read(bytes(whole))
        texts = Reader(io.BytesIO(bytes(whole)).read).texts
    except InputError:
        return
    assert (found, texts) == (expected, TEXTS)  # a byte of a header that means nothing, such as its time's


def test_the_last_piece_comes_only_when_everything_fits() -> None:
    damaged = bytearray(file(b"one" * 700, b"two", texts=TEXTS))
    at = damaged.index(b"name: seg")
    damaged[at] ^= 1
    pieces = Reader(io.BytesIO(bytes(damaged)).read).pieces()
    assert next(pieces).data == b"one" * 700
    with pytest.raises(DamagedError, match=r"gpudock\.yaml"):
        next(pieces)


def test_pieces_that_are_missing_or_out_of_order() -> None:
    names = {name: hashlib.sha256(data).hexdigest() for name, data in TEXTS.items()}
    with pytest.raises(DamagedError, match="missing"):
        read(file(b"one", sums=Sums(names, ("f" * 64, "e" * 64), 6)))
    swapped = form.member(form.piece_name(1, b"x"), b"x")
    with pytest.raises(DamagedError, match="piece 0"):
        read(b"".join(form.member(name, data) for name, data in TEXTS.items()) + swapped + form.end())


def test_huge_parts_are_refused_before_they_are_read() -> None:
    info = tarfile.TarInfo("about.json")
    info.size = 1 << 40
    with pytest.raises(DamagedError, match="larger"):
        Reader(io.BytesIO(info.tobuf() + b"x" * 4096).read)
    with pytest.raises(DamagedError, match="begins"):
        Reader(io.BytesIO(form.member("../../etc/passwd", b"") + form.end()).read)


def test_another_format_is_told() -> None:
    about = msgspec.json.encode(About(99, "seg", "a" * 64, ()))
    with pytest.raises(InputError, match="99"):
        Reader(io.BytesIO(file(b"", texts={**TEXTS, form.ABOUT: about})).read)


def test_a_stream_is_cut_into_pieces_whatever_its_reads() -> None:
    source = io.BytesIO(b"x" * (form.PIECE + 5))
    sizes = [len(piece) for piece in form.in_pieces(lambda size: source.read(min(size, 1 << 20)))]
    assert sizes == [form.PIECE, 5]
    assert list(form.in_pieces(lambda _: b"")) == []
