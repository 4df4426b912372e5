"""Files whole, but never more of them than expected. Raises OSError."""

import os

_ROOM = 1 << 14  # bytes for the first look: most files are smaller, and memory that is not used has to be found too


def upto(fd: int, limit: int) -> bytes:
    """What is left to read, at most `limit` + 1 bytes: the one more tells that the file is too long."""
    parts: "list[bytes]" = []
    left, room = limit + 1, _ROOM
    while left:
        part = os.read(fd, min(left, room))
        if not part:
            break
        parts.append(part)
        left -= len(part)
        room = 1 << 20 if len(part) == room else room  # what was not filled was most likely all
    return b"".join(parts)


def file(path: str, limit: int) -> bytes:
    """As `upto`, of a file of the host; a FIFO does not block."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        return upto(fd, limit)
    finally:
        os.close(fd)
