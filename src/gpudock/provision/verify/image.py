"""A tiny image made of this machine's own Python: interpreter, the modules that the program uses, and their libraries.

No registry, no compiler, a few MiB. The interpreter itself tells what it has loaded.
"""

import io
import os
import struct
import tarfile
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from gpudock.errors import HostError
from gpudock.host import elf
from gpudock.proc import Command, Runner

PROGRAM = "/verify.py"
_SYSTEM = "/usr/bin/python3"
# What a program that loads NVIDIA's libraries needs besides: they are not linked to them by this interpreter.
_BESIDE = ("libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libgcc_s.so.1")
_TELL = """
import ctypes, json, os, stat, sys, time
import encodings.ascii, encodings.latin_1, encodings.utf_8, encodings.aliases
files = [m.__file__ for m in list(sys.modules.values()) if getattr(m, "__file__", None)]
maps = {line.split(None, 5)[5].strip() for line in open("/proc/self/maps") if "r-xp" in line and "/" in line}
print(json.dumps({"executable": os.path.realpath(sys.executable), "files": files, "maps": sorted(maps),
                  "landmark": os.__file__}))
"""


class _Told(msgspec.Struct):
    executable: str
    files: list[str]
    maps: list[str]
    landmark: str


class Image(NamedTuple):
    tar: bytes
    argv: tuple[str, ...]  # what to run in it


def make(run: Runner, fallback: str) -> Image:
    """Of the system's Python, else of `fallback`. Raises HostError."""
    interpreter = _SYSTEM if os.path.exists(_SYSTEM) else fallback
    answer = run(Command((interpreter, "-I", "-S", "-c", _TELL), timeout=20.0, env={"LC_ALL": "C"}))
    try:
        told = msgspec.json.decode(answer.out, type=_Told)
    except msgspec.DecodeError as error:
        raise HostError(
            f"{interpreter} does not tell what it is made of.",
            why=answer.err.strip()[-300:] or str(error),
            mend="install python3 of the distribution, with its module ctypes",
        ) from error
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as packed:
        for place, data, mode in _files(told):
            _add(packed, place, data, mode)
        for folder in ("proc", "sys", "dev", "tmp", "etc", "run"):
            _folder(packed, folder)
    return Image(held.getvalue(), (told.executable, "-I", "-S", "-B", PROGRAM))


def _files(told: _Told) -> Iterator[tuple[str, bytes, int]]:
    program = os.path.join(os.path.dirname(__file__), "inside.py")
    yield PROGRAM, _content(program), 0o644
    places = {told.executable: told.executable, told.landmark: told.landmark}
    places |= {path: path for path in told.files if os.path.isabs(path)}
    for path in told.maps:
        if path == told.executable or not os.path.exists(path):
            continue
        found = elf.read(path)
        name = found.soname if found and found.soname and path not in places else os.path.basename(path)
        places[os.path.join(os.path.dirname(path), name)] = path
        if name == "libc.so.6":
            beside = (os.path.join(os.path.dirname(path), each) for each in _BESIDE)
            places |= {each: each for each in beside if os.path.exists(each)}
    loader = _loader(told.executable)
    if loader:
        places[loader] = loader
    for place, path in sorted(places.items()):
        yield place, _content(path), 0o755


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _loader(program: str) -> str:
    """The path that the kernel looks for: PT_INTERP."""
    head = _content(program)[:4096]
    if head[:5] != b"\x7fELF\x02":
        return ""
    table, size, count = struct.unpack_from("<Q14xHH", head, 32)
    for index in range(count):
        kind, _, offset, _, _, length = struct.unpack_from("<IIQQQQ", head, table + index * size)
        if kind == 3:
            return head[offset : offset + length].rstrip(b"\0").decode()
    return ""


def _add(packed: tarfile.TarFile, place: str, data: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(place.lstrip("/"))
    entry.size, entry.mode = len(data), mode
    packed.addfile(entry, io.BytesIO(data))


def _folder(packed: tarfile.TarFile, name: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
    packed.addfile(entry)
