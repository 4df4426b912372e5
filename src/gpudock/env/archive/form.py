"""The file that holds an environment: a tar that any tar reads. Written and read once from the front.

    about.json, gpudock.yaml, gpudock.lock     what it is
    image/000000-SHA256, ...                   the image as `docker save` writes it, in pieces; together they are it
    sums.json                                  sizes and checksums of all before; without it the file is not whole

A piece's name holds its checksum, so it is verified before anything is done with it.
"""

import hashlib
import re
import tarfile
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

import msgspec

from gpudock.engine.build import tarwalk
from gpudock.env.naming import LOCK_FILE, RECIPE_FILE
from gpudock.errors import InputError

FORMAT = 1
PIECE = 16 << 20
ABOUT, SUMS = "about.json", "sums.json"
_TEXTS = (ABOUT, RECIPE_FILE, LOCK_FILE)
_LARGEST_TEXT = 16 << 20
_PIECE_NAME = re.compile(r"^image/([0-9]{6})-([0-9a-f]{64})$")

Read = Callable[[int], bytes]


class DamagedError(InputError):
    def __init__(self, why: str) -> None:
        super().__init__(
            "This file is not a whole environment.", why=why, mend="copy it again, or save the environment again"
        )


class About(msgspec.Struct, frozen=True):
    """Everything in it may be a lie of whoever made the file."""

    format: int
    name: str
    image: str  # its id, 64 hexadecimal digits
    layers: tuple[str, ...]
    gpudock: str = ""
    made: str = ""


class Sums(msgspec.Struct, frozen=True):
    texts: dict[str, str]
    pieces: tuple[str, ...]
    size: int


class Piece(NamedTuple):
    data: bytes
    last: bool


def member(name: str, data: bytes) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), 0o644
    return info.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % tarwalk.BLOCK)


def piece_name(number: int, data: bytes) -> str:
    return f"image/{number:06d}-{hashlib.sha256(data).hexdigest()}"


def end() -> bytes:
    return bytes(2 * tarwalk.BLOCK)


def in_pieces(read: Read) -> Iterator[bytes]:
    """What a program writes, in pieces of one size but the last."""
    while True:
        parts, left = [], PIECE
        while left and (data := read(left)):
            parts.append(data)
            left -= len(data)
        if parts:
            yield b"".join(parts)
        if left:
            return


class Reader:
    """First `texts`, then every piece, each verified. Raises DamagedError."""

    def __init__(self, read: Read) -> None:
        self._members = _members(read)
        self.texts: dict[str, bytes] = {}
        for wanted in _TEXTS:
            found, body = self._next()
            if found != wanted:
                raise DamagedError(f"it begins with {found[:60]!r} and not with {wanted}")
            self.texts[wanted] = body
        self.about = _decoded(self.texts[ABOUT], About)
        if self.about.format != FORMAT:
            raise InputError(f"This file has format {self.about.format}.", why=f"this gpudock knows {FORMAT}")
        if not re.fullmatch("[0-9a-f]{64}", self.about.image):
            raise DamagedError("it names no image")

    def _next(self) -> tuple[str, bytes]:
        try:
            return next(self._members)
        except StopIteration:
            raise DamagedError("it ends too early") from None
        except InputError as error:
            raise DamagedError(error.why) from error

    def pieces(self) -> Iterator[Piece]:
        held: bytes | None = None
        seen: list[str] = []
        size = 0
        while True:
            name, data = self._next()
            if name == SUMS:
                break
            found = _PIECE_NAME.match(name)
            if not found or int(found[1]) != len(seen):
                raise DamagedError(f"{name[:80]!r} stands where piece {len(seen)} should")
            if hashlib.sha256(data).hexdigest() != found[2]:
                raise DamagedError(f"piece {len(seen)} has another checksum than when it was saved")
            seen.append(found[2])
            size += len(data)
            if held is not None:
                yield Piece(held, last=False)
            held = data
        self._check(_decoded(data, Sums), seen, size)
        yield Piece(held or b"", last=True)

    def _check(self, sums: Sums, seen: list[str], size: int) -> None:
        for name, data in self.texts.items():
            if sums.texts.get(name) != hashlib.sha256(data).hexdigest():
                raise DamagedError(f"{name} has another checksum than when it was saved")
        if list(sums.pieces) != seen or sums.size != size:
            raise DamagedError("pieces of the image are missing")


def _members(read: Read) -> Iterator[tuple[str, bytes]]:
    for each in tarwalk.members(read):
        limit = PIECE if each.name.startswith("image/") else _LARGEST_TEXT
        if each.size > limit:
            raise DamagedError(f"{each.name[:80]!r} is larger than such a part ever is")
        parts = []
        while data := each.body.read():
            parts.append(data)
        yield each.name, b"".join(parts)


Kind = TypeVar("Kind")


def _decoded(data: bytes, kind: type[Kind]) -> Kind:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise DamagedError(f"its description cannot be read: {error}") from error
