"""The tree of a real H200 host, from its listing alone: driver 580.159.04 as a volume on /usr/local/nvidia.

Names, links, sizes and modes are the host's. Libraries are small real ELF files (holes up to their size) with the SONAMEs
that the host's linker cache gives; programs, modules and firmware are holes behind a header.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from real.harness import elf, roots
from real.harness.sparse import write_sparse

VERSION = "580.159.04"
_DATA = Path(__file__).resolve().parents[2] / "data/h200"
_ROW = re.compile(r"(?P<mode>[-dl]\S{9}) +\d+ \S+ \S+ +(?P<size>\d+) \w+ +\d+ +\S+ (?P<name>.+?)(?: -> (?P<link>.+))?$")
_CACHED = re.compile(r"\t(?P<name>\S+) \(libc6,x86-64\) => (?P<path>\S+)$")
_TEXTS = {
    "version": VERSION,
    "passwd": "root:x:0:0:root:/root:/bin/sh",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "10_nvidia.json": '{"file_format_version": "1.0.0", "ICD": {"library_path": "libEGL_nvidia.so.0"}}',
    "nvidia_icd.json": '{"file_format_version": "1.0.1", "ICD": {"library_path": "libGLX_nvidia.so.0", "api_version": "1.4.312"}}',
    "nvidia_layers.json": '{"file_format_version": "1.0.0", "layers": [{"name": "VK_LAYER_NV_optimus", "library_path": "libGLX_nvidia.so.0"}]}',
}


@dataclass(frozen=True)
class Listed:
    path: str  # "/usr/local/nvidia/lib64/libcuda.so.1"
    kind: str  # "-", "d" or "l"
    mode: int
    size: int
    link: str | None


def listing() -> list[Listed]:
    """What ls -lR of the host's driver volume says, top down."""
    rows, folder = [], ""
    for line in (_DATA / "driver-root.ls.txt").read_text().splitlines():
        if line.startswith("/") and line.endswith(":"):
            folder = line[:-1]
        elif (row := _ROW.fullmatch(line)) and row["name"] not in (".", ".."):
            bits = sum(1 << 8 - index for index, letter in enumerate(row["mode"][1:]) if letter != "-")
            rows.append(Listed(f"{folder}/{row['name']}", row["mode"][0], bits, int(row["size"]), row["link"]))
    return rows


def cached() -> list[tuple[str, str]]:
    """The host's linker cache, as far as it is known: (name, path) of what is not CUDA's."""
    lines = (_DATA / "ldconfig-p.txt").read_text().splitlines()
    rows = [(row["name"], row["path"]) for row in map(_CACHED.fullmatch, lines) if row]
    return [(name, path) for name, path in rows if not path.startswith("/usr/local/cuda/")]


def build(root: Path) -> None:
    """The host's root: the volume, the links that /usr/lib has into it, the linker's cache."""
    roots.base(root, "ubuntu 24.04 noble", multiarch=True)
    rows = listing()
    sonames = {f"{row.path.rpartition('/')[0]}/{row.link}": row.path for row in rows if row.link}
    for row in rows:
        place = root / row.path.removeprefix("/")
        if row.kind == "d":
            place.mkdir(parents=True, exist_ok=True)
        elif row.link:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(row.link)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            _write(place, row, sonames.get(row.path, row.path).rpartition("/")[2])
    for name, path in cached():
        if path.startswith("/lib/"):
            (root / f"usr/lib/{name}").symlink_to(f"/usr/local/nvidia/lib64/{name}")
    roots.linker_cache(root, ("/usr/local/nvidia/lib64",))
    roots.loaded_module(root, VERSION)


def _write(place: Path, row: Listed, linked_from: str) -> None:
    if ".so" in place.name:
        soname = linked_from if re.search(r"\.so\.\d+$", linked_from) else place.name
        elf.write_library(str(place), soname, size=row.size, mode=row.mode)
    elif place.parent.name == "bin":
        elf.write_library(str(place), None, size=row.size, mode=row.mode)
    else:
        text = _TEXTS.get(place.name, "")
        pad = b"\n" * (row.size - len(text)) if text else b""
        write_sparse(str(place), row.size, [(0, text.encode() + pad)], mode=row.mode)
