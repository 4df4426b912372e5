"""The same image as the same bytes: docker gives a folder of its archive the time of the moment, and then no piece
after it would be known again when saving goes on.
"""

from collections.abc import Callable, Iterator

from gpudock.engine.build import tarwalk

_TIME, _SUM = slice(136, 148), slice(148, 156)
Read = Callable[[int], bytes]


def steady(read: Read) -> Read:
    """The stream of a tar, with no time in its folders. What is no tar passes as it is."""
    parts = _parts(read)
    left = b""

    def steadied(size: int) -> bytes:
        nonlocal left
        if not left:
            left = next(parts, b"")
        data, left = left[:size], left[size:]
        return data

    return steadied


def _parts(read: Read) -> Iterator[bytes]:
    while len(block := _block(read)) == tarwalk.BLOCK and tarwalk.is_tar(block) and block.strip(b"\0"):
        folder = block[156:157] == tarwalk.FOLDER
        yield _without_time(block) if folder else block
        left = 0 if folder else -(-tarwalk.number(block[124:136]) // tarwalk.BLOCK) * tarwalk.BLOCK
        while left and (data := read(min(left, tarwalk.CHUNK))):
            left -= len(data)
            yield data
    yield block
    while data := read(tarwalk.CHUNK):
        yield data


def _block(read: Read) -> bytes:
    """So many bytes, fewer only at the end."""
    data = b""
    while len(data) < tarwalk.BLOCK and (more := read(tarwalk.BLOCK - len(data))):
        data += more
    return data


def _without_time(block: bytes) -> bytes:
    header = bytearray(block)
    header[_TIME] = b"00000000000\0"
    header[_SUM] = b" " * 8
    header[_SUM] = b"%06o\0 " % sum(header)
    return bytes(header)
