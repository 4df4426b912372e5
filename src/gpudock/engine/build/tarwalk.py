"""The members of a tar stream, read once from the front. Layers come from anywhere, so whatever a header claims, no
more than MEMORY is kept; tarfile keeps every member, and reads extended headers whole.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from gpudock.errors import InputError

BLOCK = 512
MEMORY = 1 << 20  # bytes of extended headers before one member
CHUNK = 1 << 20
MEMBERS = 20_000_000
_SIZE_LIMIT = 1 << 50
REGULAR, HARD_LINK, LINK, CHARACTER, BLOCK_DEVICE, FOLDER = b"0", b"1", b"2", b"3", b"4", b"5"
_EXTENDED = (b"x", b"X", b"g", b"L", b"K")

Read = Callable[[int], bytes]  # at most so many bytes; b"" at the end


class BrokenTarError(InputError):
    def __init__(self, why: str) -> None:
        super().__init__("A layer of the image cannot be read.", why=why, mend="build the image again")


class Body:
    """The content of a member; what is not read is skipped."""

    def __init__(self, read: Read, size: int) -> None:
        self._read = read
        self.left = size

    def read(self, size: int = CHUNK) -> bytes:
        data = self._read(min(size, self.left)) if self.left else b""
        if self.left and not data:
            raise BrokenTarError("it ends within a file")
        self.left -= len(data)
        return data

    def skip(self) -> None:
        while self.read():
            pass


class Member(NamedTuple):
    name: str  # without leading "./" and "/"
    kind: bytes
    size: int
    major: int
    body: Body


def is_tar(block: bytes) -> bool:
    """Whether a stream that begins so is a tar; an empty one is all zeros."""
    return len(block) == BLOCK and (not block.strip(b"\0") or _checksum_fits(block))


def members(read: Read, first: bytes = b"") -> Iterator[Member]:
    """`first`: a block that was read already. Stops at the end mark. Raises BrokenTarError."""
    extended: dict[str, str] = {}
    kept = 0
    for _ in range(MEMBERS):
        block = first or exactly(read, BLOCK)
        first = b""
        if not block.strip(b"\0"):
            return
        if len(block) < BLOCK or not _checksum_fits(block):
            raise BrokenTarError("a header's sum is wrong")
        kind, size = block[156:157], number(block[124:136])
        if kind in _EXTENDED:
            kept += size
            if kept > MEMORY:
                raise BrokenTarError(f"a file's extended headers are larger than {MEMORY} bytes")
            _extend(extended, kind, exactly(read, size))
            exactly(read, -size % BLOCK)
            continue
        yield from _member(read, block, kind, extended)
        extended, kept = {}, 0
    raise BrokenTarError(f"it has more than {MEMBERS} files")


def _member(read: Read, block: bytes, kind: bytes, extended: dict[str, str]) -> Iterator[Member]:
    if kind == b"S":  # an old sparse file: lists of its pieces may follow the header
        more = block[482] == 1
        while more:
            more = exactly(read, BLOCK)[504:505] == b"\1"
    name = extended.get("GNU.sparse.name") or extended.get("path") or _name(block)
    holds = kind not in (HARD_LINK, LINK, CHARACTER, BLOCK_DEVICE, FOLDER, b"6")
    told = extended.get("size", "")
    size = (int(told[:16]) if told.isdecimal() else number(block[124:136])) if holds else 0
    body = Body(read, size)
    plain = REGULAR if kind in (b"\0", b"7", b"S") else kind
    major = number(block[329:337]) if kind in (CHARACTER, BLOCK_DEVICE) else 0
    yield Member(name.removeprefix("./").lstrip("/"), plain, size, major, body)
    body.skip()
    exactly(read, -size % BLOCK)


def exactly(read: Read, size: int) -> bytes:
    """So many bytes, fewer only at the end of the stream for a header; `size` is bounded by the caller."""
    parts = b""
    while len(parts) < size:
        part = read(size - len(parts))
        if not part:
            if size != BLOCK or parts:
                raise BrokenTarError("it ends within a header")
            return b""
        parts += part
    return parts


def _checksum_fits(block: bytes) -> bool:
    try:
        return number(block[148:156]) == sum(block) - sum(block[148:156]) + 8 * 32
    except BrokenTarError:
        return False


def number(field: bytes) -> int:
    """Octal, or binary when the first bit is set."""
    if field[0] & 0x80:
        value = int.from_bytes(bytes((field[0] & 0x7F,)) + field[1:], "big")
    else:
        text = field.split(b"\0", 1)[0].strip()
        if text.strip(b"01234567"):
            raise BrokenTarError("a header has a number that is none")
        value = int(text or b"0", 8)
    if value > _SIZE_LIMIT:
        raise BrokenTarError("a header claims an impossible size")
    return value


def _name(block: bytes) -> str:
    name, prefix = (part.split(b"\0", 1)[0] for part in (block[:100], block[345:500]))
    if prefix and block[257:263] == b"ustar\0":
        name = prefix + b"/" + name
    return name.decode(errors="backslashreplace")


def _extend(extended: dict[str, str], kind: bytes, data: bytes) -> None:
    if kind == b"L":
        extended["path"] = data.split(b"\0", 1)[0].decode(errors="backslashreplace")
    while kind in (b"x", b"X") and data:
        length, _, _ = data.partition(b" ")
        if not length.isdigit() or not len(length) < int(length[:9]) <= len(data):
            raise BrokenTarError("a file's extended header is broken")
        name, _, value = data[len(length) + 1 : int(length) - 1].partition(b"=")
        extended[name.decode(errors="backslashreplace")] = value.decode(errors="backslashreplace")
        data = data[int(length) :]
