"""Asks NVML in a process of its own, because a driver that hangs or crashes must not take gpudock with it."""

import os
import signal
import sys

import msgspec

from gpudock.facts.base import Fact, Missing
from gpudock.facts.gpu import Gpu, Nvml
from gpudock.host import driver_names, nvml_turn
from gpudock.host.plain import one_line
from gpudock.host.root import Root
from gpudock.plan import ldcache
from gpudock.proc import NOT_FOUND, TIMED_OUT, Command, Result, Runner

DEADLINE = 5.0  # seconds
LIBRARY = "libnvidia-ml.so.1"
CACHE_LIMIT = 16 << 20  # bytes

# Imported and not run as a script, so that Python keeps its compiled form. Without site, environment and user folders.
_START = "import sys; sys.path.append(sys.argv.pop(1)); import nvml_child; nvml_child.main()"
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}


class _Answer(Fact, frozen=True):
    """What the child prints."""

    error: str | None = None
    driver: str = ""
    cuda: str | Missing = Missing("not told")
    gpus: tuple[Gpu, ...] = ()
    problems: tuple[str, ...] = ()


def library(root: Root, *, architecture: str, loaded: str | None, wsl: bool = False) -> str | None:
    """Path inside the root of the NVML to ask: that of the loaded driver, else what programs would get; None: none.

    A quick look, so that NVML can be asked while all driver files are still being read.
    """
    folders = driver_names.library_folders(architecture)
    if wsl:  # a Linux driver's library beside it would not work there
        folders = (f"{driver_names.WSL_FOLDER}/lib", *folders)
    found = [real for folder in folders if (real := root.resolve(f"{folder}/{LIBRARY}"))]
    if wsl and found:
        return found[0]
    named = [path for path in found if loaded and path.endswith(f".so.{loaded}")]
    if not named:
        found = _cached(root) + found
        named = [path for path in found if loaded and path.endswith(f".so.{loaded}")]
    return next(iter([*named, *found]), None)


def _cached(root: Root) -> list[str]:
    try:
        entries = ldcache.entries(root.read("/etc/ld.so.cache", CACHE_LIMIT))
    except (OSError, ldcache.CacheError):
        return []
    return [real for _, soname, path in entries if soname == LIBRARY and (real := root.resolve(path))]


def ask(run: Runner, path: str, *, turn_folder: str | None = None) -> tuple[Nvml | Missing, tuple[Gpu, ...]]:
    """The answer of the NVML library at a host path, within DEADLINE; Missing says what went wrong."""
    with nvml_turn.taken(turn_folder or nvml_turn.folder(), DEADLINE) as turn:
        if isinstance(turn, Missing):
            return turn, ()
        argv = [sys.executable, "-I", "-S", "-c", _START, os.path.dirname(__file__), path]
        if turn is not None:
            argv.append(str(turn))
        fds = () if turn is None else (turn,)
        result = run(Command(tuple(argv), timeout=DEADLINE, env=_ENVIRONMENT, pass_fds=fds, kill=False))
    return _understand(result, path)


def _understand(result: Result, path: str) -> tuple[Nvml | Missing, tuple[Gpu, ...]]:
    if result.code == TIMED_OUT:
        stuck = "cannot be stopped" in result.err
        return Missing(f"NVML gave no answer within {DEADLINE:g} s" + (" and is stuck" if stuck else "")), ()
    if result.code < 0:
        return Missing(f"NVML crashed: {_signal(-result.code)} in {path}"), ()
    if result.code == NOT_FOUND or not result.ok:
        return Missing(f"NVML could not be asked: {one_line(result.err[-200:])}"), ()
    try:
        answer = msgspec.json.decode(result.out, type=_Answer)
    except (msgspec.DecodeError, RecursionError) as error:
        return Missing(f"NVML's answer cannot be understood: {one_line(str(error))}"), ()
    if answer.error is not None:
        return Missing(one_line(answer.error)), ()
    return Nvml(driver=answer.driver, cuda=answer.cuda, library=path, problems=answer.problems), answer.gpus


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
