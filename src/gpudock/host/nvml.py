"""Asks NVML in a process of its own, because a driver that hangs or crashes must not take gpudock with it.

Imports little, so that the driver can be asked before everything else is imported (nvml_answer, which reads the answer,
takes as long to import as the driver to answer).
"""

import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Protocol

from gpudock.host import nvml_turn
from gpudock.host.later import Later
from gpudock.host.library_folders import WSL_FOLDER, library_folders
from gpudock.host.root import Root
from gpudock.proc import Command, Runner

if TYPE_CHECKING:
    from gpudock.facts.base import Missing
    from gpudock.facts.gpu import Gpu, Nvml

DEADLINE = 5.0  # seconds
LIBRARY = "libnvidia-ml.so.1"
CACHE_LIMIT = 16 << 20  # bytes

# Imported and not run as a script, so that Python keeps its compiled form. Without site, environment and user folders.
_START = "import sys; sys.path.append(sys.argv.pop(1)); import nvml_child; nvml_child.main()"
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}


class Folders(Protocol):
    """What is needed of roots.Folders and facts.snapshot.Roots."""

    @property
    def driver(self) -> str: ...
    @property
    def proc(self) -> str: ...
    @property
    def sys(self) -> str: ...


def begin(run: Runner, folders: Folders) -> "Later[tuple[Nvml | Missing, tuple[Gpu, ...]]]":
    """Ask the NVML of a host, and do something else meanwhile."""
    return Later(partial(_ask_host, run, of_host(folders), folders.driver))


def of_host(folders: Folders) -> str | None:
    """The NVML to ask, as a path on this machine; None: there is none."""
    root, release = Root(folders.driver), Root(folders.proc).text("/sys/kernel/osrelease", 4096) or ""
    version, wsl = loaded(Root(folders.sys)) or None, "microsoft" in release.lower()
    found = library(root, architecture=os.uname().machine, loaded=version, wsl=wsl)
    return root.host(found) if found else None


def loaded(sys: Root) -> str:
    """Version of the driver in the kernel, as /sys tells it; "" when none is loaded."""
    return (sys.text("/module/nvidia/version", 64) or "").strip()


def library(root: Root, *, architecture: str, loaded: str | None, wsl: bool = False) -> str | None:
    """Path inside the root of the NVML to ask: that of the loaded driver, else what programs would get; None: none.

    A quick look, so that NVML can be asked while all driver files are still being read.
    """
    folders = library_folders(architecture)
    if wsl:  # a Linux driver's library beside it would not work there
        folders = (f"{WSL_FOLDER}/lib", *folders)
    found = [real for folder in folders if (real := root.resolve(f"{folder}/{LIBRARY}"))]
    if wsl and found:
        return found[0]
    named = [path for path in found if loaded and path.endswith(f".so.{loaded}")]
    if not named:
        found = _cached(root) + found
        named = [path for path in found if loaded and path.endswith(f".so.{loaded}")]
    return next(iter([*named, *found]), None)


def _cached(root: Root) -> list[str]:
    from gpudock.plan import ldcache  # noqa: PLC0415  seldom needed

    try:
        entries = ldcache.entries(root.read("/etc/ld.so.cache", CACHE_LIMIT))
    except (OSError, ldcache.CacheError):
        return []
    return [real for _, soname, path in entries if soname == LIBRARY and (real := root.resolve(path))]


def _ask_host(run: Runner, path: str | None, root: str) -> "tuple[Nvml | Missing, tuple[Gpu, ...]]":
    return _missing(f"no {LIBRARY} below {root}") if path is None else ask(run, path)


def ask(run: Runner, path: str, *, turn_folder: str | None = None) -> "tuple[Nvml | Missing, tuple[Gpu, ...]]":
    """The answer of the NVML library at a host path, within DEADLINE; Missing says what went wrong."""
    with nvml_turn.taken(turn_folder or nvml_turn.folder(), DEADLINE) as turn:
        if isinstance(turn, str):
            return _missing(turn)
        fds = () if turn is None else (turn,)
        argv = (sys.executable, "-I", "-S", "-c", _START, os.path.dirname(__file__), path, *map(str, fds))
        result = run(Command(argv, timeout=DEADLINE, env=_ENVIRONMENT, pass_fds=fds, kill=False))
    from gpudock.host import nvml_answer  # noqa: PLC0415  see above

    return nvml_answer.of_result(result, path)


def _missing(reason: str) -> "tuple[Missing, tuple[()]]":
    from gpudock.facts.base import Missing  # noqa: PLC0415  see above

    return Missing(reason), ()
