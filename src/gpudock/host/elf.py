"""Reads what the linker cache needs to know of a shared library: architecture and SONAME.

A few reads per file instead of a full ELF parser: discovery looks at some hundred files, and 80 ms are all it has.
"""

import os
import struct

from gpudock.facts.driver import Elf
from gpudock.plan.ldcache import cache_flags

HEADERS = 256  # program headers: more than any linker writes
DYNAMIC = 1 << 16  # bytes of the dynamic section that are looked at
NAME = 256  # bytes of a SONAME

_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_NULL, _DT_STRTAB, _DT_SONAME = 0, 5, 14

_Header = tuple[int, int, int, int]  # type, offset, virtual address, size in the file


def read(path: str) -> Elf | None:
    """Facts of the ELF file at a host path; None when it is no ELF file, is broken, or cannot be read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return _read(fd)
    except (OSError, struct.error, ValueError, OverflowError):
        return None
    finally:
        os.close(fd)


def _read(fd: int) -> Elf | None:
    head = os.pread(fd, 64, 0)
    if len(head) < 52 or head[:4] != b"\x7fELF" or head[4] not in {1, 2} or head[5] not in {1, 2}:
        return None
    bits = 64 if head[4] == 2 else 32
    order = "<" if head[5] == 1 else ">"
    machine = struct.unpack_from(order + "H", head, 18)[0]
    if bits == 64:
        table, flags, size, count = struct.unpack_from(order + "Q8xI2xHH", head, 32)
        header = struct.Struct(order + "I4xQQ8xQ")
    else:
        table, flags, size, count = struct.unpack_from(order + "I4xI2xHH", head, 28)
        header = struct.Struct(order + "III4xI")
    if count > HEADERS or size < header.size:
        return None
    raw = os.pread(fd, size * count, table)
    headers: list[_Header] = [header.unpack_from(raw, index * size) for index in range(count)]
    architecture = cache_flags(machine, bits, flags)
    if architecture is None:
        return None
    return Elf(soname=_soname(fd, headers, bits, order), bits=bits, machine=machine, cache_flags=architecture)


def _soname(fd: int, headers: list[_Header], bits: int, order: str) -> str | None:
    dynamic = next((h for h in headers if h[0] == _PT_DYNAMIC), None)
    if dynamic is None:
        return None
    entry = struct.Struct(order + ("qQ" if bits == 64 else "iI"))
    raw = os.pread(fd, min(dynamic[3], DYNAMIC), dynamic[1])
    strings = name = None
    for tag, value in entry.iter_unpack(raw[: len(raw) // entry.size * entry.size]):
        if tag == _DT_NULL:
            break
        if tag == _DT_STRTAB:
            strings = value
        elif tag == _DT_SONAME:
            name = value
    if strings is None or name is None:
        return None
    for kind, offset, address, size in headers:  # the table's address -> its place in the file
        if kind == _PT_LOAD and address <= strings < address + size:
            text, end, _ = os.pread(fd, NAME, offset + strings - address + name).partition(b"\0")
            soname = text.decode("ascii")
            return soname if end and soname.isprintable() and soname.strip(".") and "/" not in soname else None
    return None
