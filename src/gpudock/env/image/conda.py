"""conda's environment.yml as what pip understands. Conda's own packages cannot be locked by hash with pip's, so each is
taken from the Python index, under its name there. Pure.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import yaml

from gpudock.errors import InputError
from gpudock.plan.quote import quote

# Names that differ, and what pip or the base brings along by itself ("").
_NAMES = {
    "pytorch": "torch",
    "pytorch-gpu": "torch",
    "pytorch-cpu": "torch",
    "tensorflow-gpu": "tensorflow",
    "opencv": "opencv-python-headless",
    "py-opencv": "opencv-python-headless",
    "matplotlib-base": "matplotlib",
    "faiss-gpu": "faiss-cpu",
    "pytables": "tables",
    "msgpack-python": "msgpack",
    "seaborn-base": "seaborn",
    **dict.fromkeys(("pip", "cudatoolkit", "cuda-toolkit", "cudnn", "pytorch-cuda", "cuda-version", "mkl", "blas"), ""),
    **dict.fromkeys(("nccl", "ca-certificates", "python_abi", "tzdata", "openssl", "readline", "ncurses", "zlib"), ""),
    **dict.fromkeys(("bzip2", "xz", "lz4-c", "zstd", "tk", "sqlite", "intel-openmp", "jpeg", "freetype", "lcms2"), ""),
}
# Programs: the index has none of them, or somebody else's package of that name.
_SYSTEM = {
    **{
        name: name
        for name in ("ffmpeg", "git", "git-lfs", "curl", "wget", "rsync", "tmux", "vim", "htop", "tree", "jq")
    },
    **{name: name for name in ("zip", "unzip", "graphviz", "imagemagick", "nodejs", "sox", "pandoc", "make", "gdb")},
    **dict.fromkeys(("gcc", "gxx", "compilers", "c-compiler", "cxx-compiler"), "build-essential"),
    "openjdk": "default-jre-headless",
    "openssh": "openssh-client",
    "openmpi": "openmpi-bin",
}
_PYTHON = ("librosa", "libcst", "libclang", "libsass", "libtmux")  # whose names begin as those of C libraries
_LIBRARY = re.compile("^(lib|_|ld_impl)")
_COMPILER = re.compile("^(gcc|gxx)_.*")
_SPEC = re.compile(r"^(?:[\w./-]+::)?([A-Za-z0-9_][\w.-]*)\s*(.*)$")


class _Told(msgspec.Struct):
    dependencies: list[Any] = []
    channels: list[str] = []
    variables: dict[str, Any] = {}


class Conda(NamedTuple):
    python_version: str = ""
    lines: tuple[str, ...] = ()  # for pip
    pip: tuple[str, ...] = ()  # what the file itself gives to pip, as it stands there
    system: tuple[str, ...] = ()  # for apt
    notes: tuple[str, ...] = ()


def read(data: bytes, path: str) -> Conda:
    """Raises InputError."""
    try:
        told = msgspec.convert(yaml.safe_load(data), _Told)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # msgspec's is a ValueError
        raise InputError(f"{path} is no environment of conda.", why=quote(str(error), 200)) from error
    python = ""
    lines: list[str] = []
    pip: list[str] = []
    system: list[str] = []
    left: list[str] = []
    for entry in told.dependencies:
        if isinstance(entry, dict):
            pip += [str(each) for each in _pip(entry, path)]
            continue
        found = _SPEC.match(str(entry))
        version = _version(found[2]) if found else None
        if found is None or version is None:
            raise InputError(f"{path} has a dependency that cannot be read: {quote(str(entry))}")
        name = _COMPILER.sub(r"\1", found[1].lower())
        known = _NAMES.get(name, "" if _LIBRARY.match(name) and name not in _PYTHON else name)
        if name == "python":
            python = re.sub(r"^[^0-9]*|\.\*$|[^0-9.].*$", "", version)
        elif name in _SYSTEM:
            system.append(_SYSTEM[name])
        elif known:
            lines.append(known + version)
        else:
            left.append(name)
    return Conda(python, tuple(lines), tuple(pip), tuple(system), tuple(_notes(told, path, lines, system, left)))


def _notes(told: _Told, path: str, lines: list[str], system: list[str], left: list[str]) -> Iterator[str]:
    """What is otherwise than conda would do it."""
    channels = f", and not from {', '.join(map(quote, told.channels))}" if told.channels else ""
    if lines:
        yield f"{path}: conda's packages are taken from the Python index, under their names there{channels}"
    if system:
        yield f"{path}: {', '.join(system)} by apt, in the distribution's version"
    if left:
        yield f"{path}: {', '.join(map(quote, left))} left out: Python packages or the base bring it along"
    if told.variables:
        names = ", ".join(map(quote, told.variables))
        yield f"{path}: the variables {names} are left out; write them below env in gpudock.yaml"


def _pip(entry: dict[Any, Any], path: str) -> list[Any]:
    found = entry.get("pip")
    if len(entry) != 1 or not isinstance(found, list):
        raise InputError(f"{path} has a part that is not pip's: {quote(str(entry))}")
    return found


def _version(text: str) -> str | None:
    """1.2 means 1.2.*, ==1.2 and =1.2=build too, and >=1,<2 is the same for both. None: pip has no such thing."""
    plain = text.strip().strip("[]")
    exact = re.fullmatch(r"(==?)?\s*v?([0-9][\w.!+]*)(\.\*)?(=[\w*.]+)?", plain)
    if exact:
        return f"=={exact[2]}" if exact[1] == "==" or exact[4] else f"=={exact[2]}.*"
    return plain.replace(" ", "") if re.fullmatch(r"[<>=!~0-9.*,\s\w]*", plain) and plain != "*" else None
