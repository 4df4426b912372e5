"""The refresh itself: facts -> plan, tree, specification. The rename of the specification is the only switch."""

import os
import time
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from gpudock import publish
from gpudock.cdi import codec, project
from gpudock.errors import GpudockError
from gpudock.facts.base import Missing
from gpudock.facts.engine import CdiSpecFile
from gpudock.facts.snapshot import Roots, Snapshot
from gpudock.gpu.compile import ReplacedError
from gpudock.gpu.devices import DriverProblemError
from gpudock.gpu.warnings import warnings
from gpudock.plan import capabilities
from gpudock.plan.document import Plan
from gpudock.refresh import collect, current
from gpudock.refresh.making import EXTRA_KINDS, KIND, Settings, compiled, options, plan_path, prepared
from gpudock.refresh.paths import Paths, check


class Outcome(NamedTuple):
    plan: Plan
    spec: str  # its path: where no engine looks when somebody else's is in charge
    changed: bool
    removed: list[str]
    foreign: tuple[CdiSpecFile, ...]  # specifications of the same kind that are not ours
    warnings: tuple[str, ...] = ()
    complete: bool = True  # False: NVML was silent, so MIG devices and what images require are not known


def foreign(snapshot: Snapshot, kind: str = KIND) -> tuple[CdiSpecFile, ...]:
    return tuple(spec for spec in snapshot.cdi_specs if spec.kind == kind and spec.plan is None)


def refresh(
    take: Callable[[], Snapshot], hook: Callable[[], tuple[str, ...]], paths: Paths, settings: Settings
) -> Outcome:
    """Make tree, plan and specification fit the machine as it is now. One caller works, the others wait for it.

    Somebody else's specification of the GPUs is left alone: two of them would make engines refuse the device. Then ours
    is put where only our runtime looks.

    Raises DriverProblemError when there is no usable driver or GPU; our own specification is removed then, so that
    engines refuse the device instead of starting containers with what is gone. It stays when only the host's files are
    gone (the driver was upgraded) and the tree still has those of the loaded module.
    """
    check(paths)
    asked = time.time_ns()
    with publish.lock(paths.lock) as waited:
        done = _done_meanwhile(paths, settings, asked) if waited else None
        if done:
            return done
        began = time.time_ns()
        snapshot = take()
        others = foreign(snapshot)
        place, other = (paths.aside, paths.spec) if others else (paths.spec, paths.aside)
        try:
            made = compiled(snapshot, paths, settings)
        except DriverProblemError as error:
            return _without_driver(error, snapshot, paths, settings, place)._replace(foreign=others)
        silent = isinstance(snapshot.nvml, Missing) and not snapshot.system.wsl
        kept = _still_good(paths, settings, snapshot.roots, place) if silent else None
        if kept:  # better than what could be made of a driver that does not answer
            return kept._replace(warnings=tuple(warnings(snapshot)), complete=False, foreign=others)
        _remember(snapshot, paths, settings)
        plan = prepared(made, paths, settings)
        chosen = options(snapshot, hook(), plan)
        spec = codec.encode(project.gpus(made.plan, chosen), "json")
        changed = _write_extras(made.plan, snapshot, paths) | _switch(place, spec)
        given_way = _remove([other])
        # `cdi generate` makes specifications too: a plan stays as long as one names it.
        named = {os.path.basename(plan), *(f"{spec.plan}.json" for spec in snapshot.cdi_specs)}
        removed = given_way + collect.collect(paths, generation=made.generation, plans=named, switched=changed)
        os.utime(paths.lock, ns=(began, began))
    return Outcome(made.plan, place, changed, removed, others, tuple(warnings(snapshot)), not silent)


def _without_driver(
    error: DriverProblemError, snapshot: Snapshot, paths: Paths, settings: Settings, place: str
) -> Outcome:
    """What remains when nothing can be made: what is in place, as long as it fits the loaded module, else the error."""
    found = _in_place(paths, snapshot.roots, place) if isinstance(error, ReplacedError) else None
    if isinstance(error, ReplacedError) and found and _holds(found.plan, settings):
        return _kept(found, error.until_reboot)
    if found is None:
        _remember(snapshot, paths, settings)  # where to look is told, whether or not something is there today
        removed = withdraw(paths)
        if removed:
            error.why += f"; removed {', '.join(removed)}, which no longer holds"
    raise error


def _kept(found: current.Current, *warnings: str) -> Outcome:
    return Outcome(found.plan, found.spec_path, False, [], (), warnings)


def _done_meanwhile(paths: Paths, settings: Settings, asked: int) -> Outcome | None:
    """What another caller has made that looked at the machine after this one asked, when it is all that is wanted."""
    if os.stat(paths.lock).st_mtime_ns < asked:
        return None
    place = paths.spec if os.path.exists(paths.spec) else paths.aside
    return _still_good(paths, settings, settings.roots, place)


def _still_good(paths: Paths, settings: Settings, roots: Roots | None, place: str) -> Outcome | None:
    """What is in place, when it fits the machine and holds all that is wanted."""
    found = _in_place(paths, roots, place)
    return _kept(found) if found and _holds(found.plan, settings) else None


def _in_place(paths: Paths, roots: Roots | None, place: str) -> current.Current | None:
    """What is in place, when it was made from these roots and fits the machine."""
    try:
        found = current.current(paths, place)
    except GpudockError:
        return None
    made = (found.plan["driver_root"], found.plan["dev_root"], found.plan["simulated"])
    return found if roots is None or made == (roots.driver, roots.dev, roots.simulated) else None


def _holds(plan: Plan, settings: Settings) -> bool:
    wanted = {capabilities.label(names) for names in settings.wanted}
    return wanted <= plan["variants"].keys() and plan["library_links"] == settings.library_links


def _remember(snapshot: Snapshot, paths: Paths, settings: Settings) -> None:
    """For the next refresh, which may come after a reboot: see earlier()."""
    data = msgspec.json.encode(Source(roots=snapshot.roots, library_links=settings.library_links))
    if _differs(paths.source, data):
        publish.write(paths.source, data, 0o600)


class Source(msgspec.Struct, frozen=True):
    roots: Roots
    library_links: bool


def earlier(paths: Paths) -> Source:
    """Where the last refresh looked, and what it made. This machine itself, when there was none."""
    try:
        return msgspec.json.decode(publish.read_capped(paths.source, 1 << 16), type=Source)
    except (OSError, GpudockError, msgspec.MsgspecError):
        return Source(roots=Roots(), library_links=False)


class Preview(NamedTuple):
    plan: Plan
    spec: bytes
    path: str
    changed: bool
    foreign: tuple[CdiSpecFile, ...]
    warnings: tuple[str, ...] = ()


def preview(snapshot: Snapshot, hook: tuple[str, ...], paths: Paths, settings: Settings) -> Preview:
    """What `refresh` would write, without writing it."""
    try:
        made = compiled(snapshot, paths, settings)
    except ReplacedError as error:
        found = _in_place(paths, snapshot.roots, paths.aside if foreign(snapshot) else paths.spec)
        if found is None or not _holds(found.plan, settings):
            raise
        with open(found.spec_path, "rb") as file:
            return Preview(found.plan, file.read(), found.spec_path, False, foreign(snapshot), (error.until_reboot,))
    chosen = options(snapshot, hook, plan_path(made.plan, paths))
    spec = codec.encode(project.gpus(made.plan, chosen), "json")
    return Preview(made.plan, spec, paths.spec, _differs(paths.spec, spec), foreign(snapshot))


def _differs(path: str, data: bytes) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read() != data
    except FileNotFoundError:
        return True


def _switch(path: str, data: bytes) -> bool:
    changed = _differs(path, data)
    if changed:
        publish.write(path, data)
    return changed


def _extra_path(paths: Paths, mode: str) -> str:
    return f"{paths.cdi}/gpudock-{mode}.json"


def _write_extras(plan: Plan, snapshot: Snapshot, paths: Paths) -> bool:
    changed = False
    for mode, kind in EXTRA_KINDS.items():
        path = _extra_path(paths, mode)
        if mode in plan["extras"] and not foreign(snapshot, kind):
            changed |= _switch(path, codec.encode(project.beside(plan, mode, kind), "json"))
        elif os.path.exists(path):
            os.unlink(path)
            changed = True
    return changed


def withdraw(paths: Paths) -> list[str]:
    """Remove our own specifications. Returns their paths."""
    return _remove([paths.spec, paths.aside, *(_extra_path(paths, mode) for mode in EXTRA_KINDS)])


def _remove(ours: list[str]) -> list[str]:
    present = [path for path in ours if os.path.exists(path)]
    for path in present:
        os.unlink(path)
    return present
