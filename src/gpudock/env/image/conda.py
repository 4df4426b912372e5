"""conda's environment.yml as what pip understands. Conda's own packages cannot be locked by hash with pip's, so each is
taken from the Python index, under its name there. Pure.
"""

import re
from typing import Any, NamedTuple

import msgspec
import yaml

from gpudock.errors import InputError
from gpudock.plan.quote import quote

# Names that differ, and what pip brings along by itself ("").
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
    **dict.fromkeys(("nccl", "libgcc-ng", "libstdcxx-ng", "_libgcc_mutex", "_openmp_mutex", "ca-certificates"), ""),
}
_SPEC = re.compile(r"^(?:[\w./-]+::)?([A-Za-z0-9_][\w.-]*)\s*(.*)$")


class _Told(msgspec.Struct):
    dependencies: list[Any] = []


class Conda(NamedTuple):
    python_version: str = ""
    lines: tuple[str, ...] = ()  # for pip
    notes: tuple[str, ...] = ()


def read(data: bytes, path: str) -> Conda:
    """Raises InputError."""
    try:
        entries = msgspec.convert(yaml.safe_load(data), _Told).dependencies
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # msgspec's is a ValueError
        raise InputError(f"{path} is no environment of conda.", why=quote(str(error), 200)) from error
    python, lines, left = "", [], []
    for entry in entries:
        if isinstance(entry, dict):
            lines += [str(each) for each in _pip(entry, path)]
            continue
        found = _SPEC.match(str(entry))
        if found is None:
            raise InputError(f"{path} has a dependency that cannot be read: {quote(str(entry))}")
        name, version = found[1].lower(), _version(found[2])
        if name == "python":
            python = re.sub(r"^[^0-9]*|\.\*$|[^0-9.].*$", "", version)
        elif _NAMES.get(name, name):
            lines.append(_NAMES.get(name, name) + version)
        else:
            left.append(name)
    notes = [f"{path}: conda's packages are taken from the Python index, under their names there"] if lines else []
    notes += [f"{path}: {', '.join(map(quote, left))} left out: Python packages bring it along"] if left else []
    return Conda(python, tuple(lines), tuple(notes))


def _pip(entry: dict[Any, Any], path: str) -> list[Any]:
    found = entry.get("pip")
    if len(entry) != 1 or not isinstance(found, list):
        raise InputError(f"{path} has a part that is not pip's: {quote(str(entry))}")
    return found


def _version(text: str) -> str:
    """1.2 means 1.2.*, ==1.2 and =1.2=build too, and >=1,<2 is the same for both."""
    plain = text.strip().strip("[]")
    exact = re.fullmatch(r"(==?)?\s*v?([0-9][\w.!+]*)(\.\*)?(=[\w*.]+)?", plain)
    if exact:
        return f"=={exact[2]}" if exact[1] == "==" or exact[4] else f"=={exact[2]}.*"
    return plain.replace(" ", "") if re.fullmatch(r"[<>=!~0-9.*,\s\w]+", plain) else ""
