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


class Wish(NamedTuple):
    program: str  # absolute path of the runtime
    name: str = NAME
    default: bool | None = None  # whether containers that name no runtime get this one; None: as it is
    cdi: bool | None = None  # None: where the engine can and nobody has decided
    hook: bool = True  # docker only: the name that --gpus wants on dockerd's PATH


def check_name(name: str) -> str:
    """Raises UsageError for a name that engines refuse, or that is somebody else's."""
    if name in _RESERVED or not _VALID.fullmatch(name):
        why = "it is the engine's own" if name in _RESERVED else "letters, digits and . _ - only"
        raise UsageError(f"A runtime cannot be called {quote(name)}.", why=why, mend="use --as gpudock or --as nvidia")
    return name


def ours(path: object) -> bool:
    """Whether this is our runtime's program, of whatever libexec folder."""
    return isinstance(path, str) and path.endswith("/current/" + ENTRY)
