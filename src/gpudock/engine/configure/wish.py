"""What is wanted of an engine's configuration."""

import re
from typing import NamedTuple

from gpudock.errors import UsageError
from gpudock.plan.quote import quote

NAME = "gpudock"
ENTRY = "gpudock-runtime"  # the runtime's program, below libexec/current
HOOK = "nvidia-container-runtime-hook"  # what docker looks for when a container asks with --gpus
_RESERVED = ("runc", "crun", "io.containerd.runc.v2")
_VALID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


class Settings(NamedTuple):
    """Of docker, besides the runtime. None and (): left as it is."""

    mirrors: tuple[str, ...] = ()  # added, in this order, behind those that are there
    userns: str | None = None  # "default", or USER[:GROUP]
    data_root: str | None = None
    log_size: str | None = None
    log_files: int | None = None
    live_restore: bool | None = None
    shm_size: str | None = None
    ulimits: tuple[str, ...] = ()  # "memlock=unlimited", "nofile=65536:1048576"
    node: tuple[str, ...] = ()  # "gpu=GPU-...": all of the kinds named are replaced


class Wish(NamedTuple):
    program: str  # absolute path of the runtime
    name: str = NAME
    default: bool | None = None  # whether containers that name no runtime get this one; None: as it is
    cdi: bool | None = None  # None: where the engine can and nobody has decided
    hook: bool = True  # docker only: the name that --gpus wants on dockerd's PATH
    settings: Settings = Settings()  # docker only
    listens: bool = False  # the runtime is told of the variables by which swarm names resources


def check_name(name: str) -> str:
    """Raises UsageError for a name that engines refuse, or that is somebody else's."""
    if name in _RESERVED or not _VALID.fullmatch(name):
        why = "it is the engine's own" if name in _RESERVED else "letters, digits and . _ - only"
        raise UsageError(f"A runtime cannot be called {quote(name)}.", why=why, mend="use --as gpudock or --as nvidia")
    return name


def ours(path: object) -> bool:
    """Whether this is our runtime's program, of whatever libexec folder."""
    return isinstance(path, str) and path.endswith("/current/" + ENTRY)
