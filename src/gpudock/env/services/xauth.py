"""The X display that a container may draw on, and the cookie that it shows there. Pure.

A container gets a cookie of its own, in a file that holds nothing else. Nobody's access control is switched off.
"""

import struct
from typing import NamedTuple

from gpudock.errors import InputError

COOKIE = b"MIT-MAGIC-COOKIE-1"
WILD = 0xFFFF  # the entry counts whatever the machine is called: a container has its own name
_LOCAL = 0x0100
_LARGEST = 1 << 16


class Display(NamedTuple):
    """$DISPLAY taken apart. A port: it is reached by TCP on this machine, as ssh -X makes it; else by its socket."""

    number: int
    port: int = 0

    @property
    def socket(self) -> str:
        return f"/tmp/.X11-unix/X{self.number}"  # noqa: S108  where X servers have it

    @property
    def inside(self) -> str:
        """The container's DISPLAY: always a socket there."""
        return f":{self.number}"


class Entry(NamedTuple):
    family: int
    address: bytes
    number: bytes
    name: bytes
    data: bytes


def display(text: str) -> Display:
    """Raises InputError: not an X display of this machine."""
    host, colon, rest = text.rpartition(":")
    number = rest.partition(".")[0]
    if not colon or not number.isdecimal() or host not in {"", "unix", "localhost", "127.0.0.1", "[::1]"}:
        raise InputError(
            f"DISPLAY={text[:40]!r} is no X display of this machine.",
            mend="start from a desktop, by ssh -X, or take display: vnc",
        )
    return Display(int(number), 6000 + int(number) if host in {"localhost", "127.0.0.1", "[::1]"} else 0)


def entries(data: bytes) -> list[Entry]:
    """Those of an Xauthority file; what is broken ends it."""
    found: list[Entry] = []
    at = 0
    while at + 2 <= len(data) and len(data) <= _LARGEST:
        (family,) = struct.unpack_from(">H", data, at)
        at += 2
        parts = []
        for _ in range(4):
            if at + 2 > len(data):
                return found
            (size,) = struct.unpack_from(">H", data, at)
            parts.append(data[at + 2 : at + 2 + size])
            at += 2 + size
        if at > len(data):
            return found
        found.append(Entry(family, *parts))
    return found


def cookie(data: bytes, shown: Display, host: bytes) -> bytes | None:
    """The cookie for a display in an Xauthority file of this machine."""
    for entry in entries(data):
        here = entry.family == WILD or (entry.family == _LOCAL and entry.address == host) or entry.family in {0, 6}
        if here and entry.name == COOKIE and entry.number in {b"", str(shown.number).encode()}:
            return entry.data
    return None


def file(secret: bytes, shown: Display) -> bytes:
    """An Xauthority file with this one cookie, for a machine of any name."""
    parts = (b"", str(shown.number).encode(), COOKIE, secret)
    return struct.pack(">H", WILD) + b"".join(struct.pack(">H", len(part)) + part for part in parts)
