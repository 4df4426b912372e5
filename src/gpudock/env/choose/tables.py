"""The compatibility tables as values: gpudock's own, with the user's laid over them."""

import os
import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Any

import msgspec

from gpudock.errors import InputError
from gpudock.gpu import cuda
from gpudock.gpu.cuda import numbers
from gpudock.publish import read_capped

_LIMIT = 1 << 20
FOLDERS = ("/etc/gpudock", "~/.config/gpudock")  # the later one wins
NAME = "tables.toml"
_CUDA = {"families": cuda.FAMILIES, "toolkits": cuda.TOOLKITS, "lowest": cuda.LOWEST, "first": cuda.FIRST}


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Cuda(_Table, frozen=True):
    families: dict[str, str]  # major -> oldest driver
    toolkits: dict[str, str]  # version -> driver with all its features
    lowest: dict[str, str]  # from this version on -> lowest compute capability
    first: dict[str, str]  # from this compute capability on -> first version
    images: dict[str, str] = {}  # version -> NVIDIA's image of it, with compiler


class Row(_Table, frozen=True):
    """A version of a framework."""

    version: str
    cuda: tuple[str, ...]  # best first
    python: tuple[str, str]  # from, to
    experimental: tuple[str, ...] = ()
    default: str = ""  # the CUDA of the usual index's wheel; "": not known


class Compiled(_Table, frozen=True):
    """The GPUs that wheels hold code for."""

    versions: tuple[str, str]  # of the framework: from, to
    cuda: tuple[str, ...]
    machine: str
    architectures: tuple[str, ...]  # compute capabilities; with +PTX: and all later ones
    source: str = ""


class Framework(_Table, frozen=True):
    package: str
    rows: tuple[Row, ...]  # the newest first
    compiled: tuple[Compiled, ...] = ()
    extra: str = ""  # of the package, which brings CUDA
    index: str = ""  # of the wheels of one CUDA version
    none: str = ""  # of the wheels without CUDA
    any_version: bool = False  # the rows hold for every version
    sources: tuple[str, ...] = ()


class Tables(_Table, frozen=True):
    date: str
    cuda: Cuda
    pytorch: Framework
    tensorflow: Framework
    jax: Framework

    def framework(self, name: str) -> Framework:
        found = getattr(self, name)
        assert isinstance(found, Framework)
        return found


def load(folders: Iterable[str] = FOLDERS) -> Tables:
    """Raises InputError for a table of the user's that is wrong."""
    text = (resources.files("gpudock.env.choose") / NAME).read_text()
    told: Mapping[str, Any] = merged({"cuda": _CUDA}, tomllib.loads(text))
    for folder in folders:
        path = os.path.join(os.path.expanduser(folder), NAME)
        try:
            told = merged(told, tomllib.loads(read_capped(path, _LIMIT).decode()))
            msgspec.convert(told, Tables)
        except FileNotFoundError:
            continue
        except (OSError, ValueError, TypeError, msgspec.ValidationError) as error:
            raise InputError(
                f"{path} is no table of versions.", why=str(error)[:300], mend="mend or remove it"
            ) from error
    return msgspec.convert(told, Tables)


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` laid over `below`: tables key by key, rows by their version."""
    found = dict(below)
    for key, value in above.items():
        before = found.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            found[key] = merged(before, value)
        elif key == "rows" and isinstance(before, list):
            kept = [row for row in before if row["version"] not in {each.get("version") for each in value}]
            found[key] = sorted((*value, *kept), key=lambda row: numbers(str(row.get("version"))), reverse=True)
        elif key == "compiled" and isinstance(before, list):
            found[key] = [*value, *before]  # the first that fits counts
        else:
            found[key] = value
    return found
