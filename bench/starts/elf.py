"""The smallest shared libraries that ldconfig takes for real: no compiler is needed, and 20,000 take a second."""

import os
import platform
import struct
from pathlib import Path

_MACHINES = {"x86_64": 62, "aarch64": 183}  # e_machine
_HEADER, _SEGMENT, _DYNAMIC = 64, 56, 16  # bytes
_STRTAB, _SYMTAB, _STRSZ, _SONAME, _NEEDED = 5, 6, 10, 14, 1


def library(soname: str) -> bytes:
    """ELF header, one loaded segment, and a dynamic section that needs libc.so.6 and names this library."""
    names = b"\0" + soname.encode() + b"\0libc.so.6\0"
    dynamic_at = _HEADER + 2 * _SEGMENT
    entries = 6
    names_at = dynamic_at + entries * _DYNAMIC
    tags = (
        (_NEEDED, len(soname) + 2),
        (_SONAME, 1),
        (_STRTAB, names_at),
        (_SYMTAB, names_at),
        (_STRSZ, len(names)),
        (0, 0),
    )
    dynamic = b"".join(struct.pack("<QQ", *tag) for tag in tags)
    size = names_at + len(names)
    machine = _MACHINES[platform.machine()]
    header = b"\x7fELF\2\1\1" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 3, machine, 1, 0, _HEADER, 0, 0, _HEADER, _SEGMENT, 2, 0, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 4, 0, 0, 0, size, size, 4096)
    dynamic_segment = struct.pack("<IIQQQQQQ", 2, 4, dynamic_at, dynamic_at, dynamic_at, len(dynamic), len(dynamic), 8)
    return header + load + dynamic_segment + dynamic + names


def fill(folder: Path, number: int) -> None:
    """So many libraries with names as they are usual, each with the link that ldconfig would otherwise make."""
    folder.mkdir(parents=True)
    for index in range(number):
        soname = f"libbench{index * 7919 % 100_003}-extra.so.{index % 9}"
        file = f"{folder}/{soname}.{index % 5}.{index % 13}"
        with open(file, "wb") as made:
            made.write(library(soname))
        os.symlink(os.path.basename(file), f"{folder}/{soname}")
