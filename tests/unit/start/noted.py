"""ELF files with a note such as NVIDIA's forward compatibility libraries have, made byte by byte."""

import json
import struct

SECTION = ".note.cuda.fwd_compatibility"
OWNER = "NVIDIA Corporation"
DRIVERS = [535, 550, 570, 580, 590]


def content(**changes: object) -> bytes:
    value = {"Format": 1, "CUDA Version": "13.1", "Driver": DRIVERS, "Device": [1, 2, 7]}
    return json.dumps(value | changes).encode()


def library(
    note: bytes | None = None,
    *,
    section: str = SECTION,
    owner: str = OWNER,
    align: int = 4,
    machine: int = 62,
    kind: int = 7,
) -> bytes:
    """A 64-bit file with three sections; `note` None: without a note. `align`: of what stands behind the owner."""
    names = b"\0.shstrtab\0" + section.encode() + b"\0"
    owned = owner.encode() + b"\0"
    padding = b"\0" * (-len(owned) % align)
    whole = struct.pack("<III", len(owned), len(note or b""), 1) + owned + padding + (note or b"")
    names_at, note_at = 64, 64 + len(names)
    table_at = note_at + len(whole)
    rows = [
        struct.pack("<IIQQQQIIQQ", 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
        struct.pack("<IIQQQQIIQQ", 1, 3, 0, 0, names_at, len(names), 0, 0, 1, 0),
        struct.pack("<IIQQQQIIQQ", 11, kind, 0, 0, note_at, len(whole), 0, 0, align, 0),
    ]
    rows = rows if note is not None else rows[:2]
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 3, machine, 1, 0, 0, table_at, 0, 64, 56, 0, 64, len(rows), 1)
    return header + names + whole + b"".join(rows)
