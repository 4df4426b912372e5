"""CUDA's forward compatibility: a libcuda in the image that is newer than the driver, and made to run on it.

NVIDIA ships it as cuda-compat packages, and in its CUDA images. Which drivers it runs on stands in a note of its own.
"""

import os
import stat

from gpudock.errors import GpudockError
from gpudock.start import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from gpudock.plan.document import Gpu, Library, Plan
    from gpudock.start.rootfs import Rootfs

FOLDER = "/usr/local/cuda/compat"
_LIBRARY = "libcuda.so.1"
_PREFIX = "libcuda.so."
_FILES = 256  # the packages bring about 20
_SECTION, _OWNER = ".note.cuda.fwd_compatibility", "NVIDIA Corporation"
_UNFIT = ("geforce", "geforcertx", "titan", "titanrtx")  # brands; CUDA then fails with error 804


def choose(
    root: "Rootfs", plan: "Plan", libraries: "list[Library]", gpus: "list[Gpu]"
) -> "tuple[list[Library], list[str]]":
    """The driver's `libraries` for the linker cache, those in front that the image has newer ones for; and notes."""
    try:
        return _chosen(root, plan, libraries, gpus) or libraries, []
    except (GpudockError, OSError, ValueError) as error:
        return libraries, [f"CUDA's forward compatibility in {FOLDER} is not used: {error}"]


def _chosen(root: "Rootfs", plan: "Plan", libraries: "list[Library]", gpus: "list[Gpu]") -> "Optional[list[Library]]":
    """None when there is none, or the driver is as new. Raises ValueError, in words, when it cannot be used."""
    wanted = {library["flags"] for library in libraries if library["soname"] == _LIBRARY}
    names = root.names(FOLDER, _FILES) if wanted and not plan["wsl"] else None
    found = [name for name in names or () if _version(name)]
    if not names or not found:
        return None
    if len(found) > 1:
        raise ValueError(f"it holds {len(found)} versions: {', '.join(found)}"[:200])
    flags = _fitting(root, found[0], plan)
    if flags is None:
        return None
    if flags not in wanted:
        raise ValueError(f"{found[0]} is for another processor")
    for gpu in gpus:
        if gpu["brand"] in _UNFIT:
            raise ValueError(f"GPU {gpu['index']}, {gpu['name']}, is no data-centre GPU")
    newer = _newer(root, names, flags)
    if (flags, _LIBRARY) not in newer:
        raise ValueError(f"it holds no {_LIBRARY}")
    # Each in the place of the driver's own: the two must not be mixed.
    return [*newer.values(), *(each for each in libraries if (each["flags"], each["soname"]) not in newer)]


def _fitting(root: "Rootfs", name: str, plan: "Plan") -> "Optional[int]":
    """The architecture of that libcuda when it is newer than the driver and runs on it, else None."""
    from gpudock.start import elfnote  # noqa: PLC0415  few images need it

    fd = root.opened(f"{FOLDER}/{name}")
    if fd is None:
        raise ValueError(f"{name} is a dangling link")
    try:
        header = elfnote.Header(fd)
        note = header.note(fd, _SECTION, _OWNER)
    finally:
        os.close(fd)
    here, driver = _version(name), _numbers(plan["driver"])
    if not driver:
        return None
    if note is None:
        return header.flags if here[0] > driver[0] else None
    value = parse.json(note, f"the note in {name}")
    drivers = value.get("Driver") if isinstance(value, dict) else None
    if here > driver and not (isinstance(drivers, list) and driver[0] in drivers):
        raise ValueError(f"{name} is not made for driver {plan['driver']}")
    return header.flags if here > driver else None


def _newer(root: "Rootfs", names: "list[str]", flags: int) -> "dict[tuple[int, str], Library]":
    """By architecture and name, of the files there that a loader can open.

    Of a file's names those without a version, and the shortest with one: the SONAME, by everybody's convention.
    """
    shortest: "dict[tuple[int, int], str]" = {}
    found: "dict[tuple[int, str], Library]" = {}
    for name in sorted(names, key=len):
        stem, _, version = name.partition(".so")
        path = f"{FOLDER}/{name}"
        seen = root.stat(path) if stem.startswith("lib") and (not version or version[1:2].isdigit()) else None
        if seen is None or not stat.S_ISREG(seen.st_mode) or not seen.st_size:
            continue
        if not version or shortest.setdefault((seen.st_dev, seen.st_ino), name) == name:
            found[flags, name] = {"flags": flags, "soname": name, "path": path}
    return found


def _version(name: str) -> "tuple[int, ...]":
    """(590, 44, 1) of libcuda.so.590.44.01; () of every other name."""
    numbers = _numbers(name[len(_PREFIX) :]) if name.startswith(_PREFIX) else ()
    return numbers if len(numbers) > 1 else ()


def _numbers(text: str) -> "tuple[int, ...]":
    parts = text.split(".")
    return tuple(map(int, parts)) if all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts) else ()
