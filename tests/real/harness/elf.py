"""ELF files for driver trees: what to keep of a real library, and small libraries that a real loader opens."""

import struct

from real.harness.sparse import whole_blocks, write_sparse

EM_386, EM_X86_64 = 3, 62
_PT_LOAD, _PT_DYNAMIC, _PT_INTERP, _PT_NOTE, _PT_GNU_STACK = 1, 2, 3, 4, 0x6474E551
_DT_NULL, _DT_NEEDED, _DT_HASH, _DT_STRTAB, _DT_SYMTAB, _DT_STRSZ, _DT_SYMENT, _DT_SONAME = 0, 1, 4, 5, 6, 10, 11, 14


def trimmed(data: bytes) -> list[tuple[int, bytes]]:
    """The pieces of a file that tell what it is; the rest becomes a hole.

    Of an ELF file: header, program headers, dynamic section and its strings (DT_SONAME, DT_NEEDED), notes, interpreter and
    section headers with their names. Of anything else: the first block.
    """
    ranges = [(0, min(4096, len(data)))]
    if data[:4] == b"\x7fELF" and data[5] == 1:
        ranges += _telling(data)
    return whole_blocks(data, [(start, min(end, len(data))) for start, end in ranges if start < len(data)])


def _telling(data: bytes) -> list[tuple[int, int]]:
    wide = data[4] == 2
    header = struct.unpack_from("<16xHHIQQQIHHHHHH" if wide else "<16xHHIIIIIHHHHHH", data)
    phoff, shoff, phentsize, phnum, shentsize, shnum, shstrndx = header[4], header[5], *header[8:13]
    segments = [_segment(data, phoff + index * phentsize, wide=wide) for index in range(phnum)]
    ranges = [(phoff, phoff + phnum * phentsize), (shoff, shoff + shnum * shentsize)]
    for kind, offset, _, size in segments:
        if kind in (_PT_DYNAMIC, _PT_INTERP, _PT_NOTE):
            ranges.append((offset, offset + size))
        if kind == _PT_DYNAMIC:
            ranges += _strings(data, segments, offset, size, wide=wide)
    if shnum:
        at = shoff + shstrndx * shentsize
        start, size = struct.unpack_from("<24xQQ" if wide else "<16xII", data, at)
        ranges.append((start, start + size))
    return ranges


def _segment(data: bytes, at: int, *, wide: bool) -> tuple[int, int, int, int]:
    """Type, file offset, address, size in the file."""
    if wide:
        kind, _, offset, address, _, size = struct.unpack_from("<IIQQQQ", data, at)
    else:
        kind, offset, address, _, size = struct.unpack_from("<IIIII", data, at)
    return kind, offset, address, size


def _strings(
    data: bytes, segments: list[tuple[int, int, int, int]], offset: int, size: int, *, wide: bool
) -> list[tuple[int, int]]:
    table = dict(struct.iter_unpack("<QQ" if wide else "<II", data[offset : offset + size]))
    for kind, start, address, length in segments:
        if kind == _PT_LOAD and address <= table[_DT_STRTAB] < address + length:
            begin = table[_DT_STRTAB] - address + start
            return [(begin, begin + table[_DT_STRSZ])]
    return []


def write_library(
    path: str, soname: str | None, *, size: int = 0, bits: int = 64, needed: tuple[str, ...] = (), mode: int = 0o644
) -> None:
    """A shared library without code, `size` bytes long (most of it a hole), that a real loader accepts."""
    machine, wide = (EM_X86_64, True) if bits == 64 else (EM_386, False)
    word, ehsize, phentsize, symbol = (8, 64, 56, 24) if wide else (4, 52, 32, 16)
    names = [*needed, *([soname] if soname else [])]
    strings = b"\0" + b"".join(name.encode() + b"\0" for name in names)
    starts = [1 + sum(len(other) + 1 for other in names[:index]) for index in range(len(names))]
    symbols_at = ehsize + 3 * phentsize
    hash_at = symbols_at + symbol
    strings_at = hash_at + 16
    dynamic_at = -(-(strings_at + len(strings)) // word) * word
    tags = [(_DT_NEEDED, start) for start in starts[: len(needed)]]
    tags += [(_DT_SONAME, starts[-1])] if soname else []
    tags += [(_DT_HASH, hash_at), (_DT_STRTAB, strings_at), (_DT_SYMTAB, symbols_at)]
    tags += [(_DT_STRSZ, len(strings)), (_DT_SYMENT, symbol), (_DT_NULL, 0)]
    dynamic = b"".join(struct.pack("<QQ" if wide else "<II", *tag) for tag in tags)
    end = dynamic_at + len(dynamic)
    ident = bytes((0x7F, 0x45, 0x4C, 0x46, 2 if wide else 1, 1, 1)) + bytes(9)
    header = ident + struct.pack(
        "<HHIQQQIHHHHHH" if wide else "<HHIIIIIHHHHHH", 3, machine, 1, 0, ehsize, 0, 0, ehsize, phentsize, 3, 0, 0, 0
    )
    read_write = 6  # the loader relocates addresses inside the dynamic section
    header += _program_header(_PT_LOAD, read_write, 0, end, 4096, wide=wide)
    header += _program_header(_PT_DYNAMIC, read_write, dynamic_at, len(dynamic), word, wide=wide)
    header += _program_header(_PT_GNU_STACK, read_write, 0, 0, 16, wide=wide)
    content = (header + bytes(symbol) + struct.pack("<IIII", 1, 1, 0, 0) + strings).ljust(dynamic_at, b"\0") + dynamic
    write_sparse(path, max(size, len(content)), [(0, content)], mode=mode)


def _program_header(kind: int, flags: int, at: int, size: int, align: int, *, wide: bool) -> bytes:
    if wide:
        return struct.pack("<IIQQQQQQ", kind, flags, at, at, at, size, size, align)
    return struct.pack("<IIIIIIII", kind, at, at, at, size, size, flags, align)
