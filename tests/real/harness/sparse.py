"""Files with holes: a driver of 600 MB takes a few MB on disk, and keeps its names, sizes and ELF headers."""

import os
from collections.abc import Iterator

_BLOCK = 4096
_WHOLE = 65536  # up to here a plain read is cheaper than looking for holes


def write_sparse(path: str, size: int, pieces: list[tuple[int, bytes]], *, mode: int = 0o644, mtime: float = 0) -> None:
    """A file of `size` bytes that holds the pieces (offset, content); all else are holes, read as zeros."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        os.fchmod(fd, mode)
        os.ftruncate(fd, size)
        for offset, content in pieces:
            os.pwrite(fd, content, offset)
        os.utime(fd, (mtime, mtime))
    finally:
        os.close(fd)


def whole_blocks(data: bytes, ranges: list[tuple[int, int]]) -> list[tuple[int, bytes]]:
    """The blocks of data that the ranges (start, end) touch: a block costs the same on disk, full or not."""
    blocks = sorted({block for start, end in ranges for block in range(start // _BLOCK, -(-end // _BLOCK))})
    return [(block * _BLOCK, data[block * _BLOCK : (block + 1) * _BLOCK]) for block in blocks]


def copy(source: str, target: str) -> None:
    """A copy with the same holes, mode and times: never a hard link, so that no test can damage the cache."""
    fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        facts = os.fstat(fd)
        if facts.st_size <= _WHOLE:
            pieces = [(0, os.pread(fd, facts.st_size, 0))]
        else:
            pieces = [(start, os.pread(fd, end - start, start)) for start, end in _data(fd, facts.st_size)]
        write_sparse(target, facts.st_size, pieces, mode=facts.st_mode & 0o7777, mtime=facts.st_mtime)
    finally:
        os.close(fd)


def _data(fd: int, size: int) -> Iterator[tuple[int, int]]:
    position = 0
    while position < size:
        try:
            start = os.lseek(fd, position, os.SEEK_DATA)
        except OSError:  # ENXIO: nothing but a hole up to the end
            return
        position = os.lseek(fd, start, os.SEEK_HOLE)
        yield start, position


def copy_tree(source: str, target: str) -> None:
    """Folders, links as they are, and files with their holes, into a folder that may exist."""
    os.makedirs(target, exist_ok=True)
    with os.scandir(source) as entries:
        for entry in entries:
            place = os.path.join(target, entry.name)
            if entry.is_symlink():
                os.symlink(os.readlink(entry.path), place)
            elif entry.is_dir():
                copy_tree(entry.path, place)
            else:
                copy(entry.path, place)
