"""The refresh itself: facts -> plan, tree, specification. The rename of the specification is the only switch."""

import hashlib
import json
import os
import re
import time
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from gpudock import publish
from gpudock.cdi import codec, project
from gpudock.errors import GpudockError
from gpudock.facts.base import Missing
from gpudock.facts.engine import CdiSpecFile, Engine
from gpudock.facts.snapshot import Roots, Snapshot
from gpudock.gpu.compile import USUAL, Compiled, compile_plan
from gpudock.gpu.devices import DriverProblemError
from gpudock.gpu.warnings import warnings
from gpudock.plan import capabilities
from gpudock.plan.document import Plan
from gpudock.refresh import collect, current, tree
from gpudock.refresh.paths import Paths, check
from gpudock.refresh.place import WAYS, Way

KIND = f"{project.VENDOR}/{project.CLASS}"
EXTRA_KINDS = {
    "imex": "nvidia.com/imex-channel",
    "gds": "nvidia.com/gds",
    "mofed": "nvidia.com/mofed",
    "gdrcopy": "nvidia.com/gdrcopy",
    "nvswitch": "nvidia.com/nvswitch",
}

FIRST_WITH_GROUPS = {"podman": (5, 0), "docker": (27, 0), "containerd": (2, 0), "crio": (1, 31)}


class Outcome(NamedTuple):
    plan: Plan
    spec: str | None  # the specification's path; None when somebody else's is in charge
    changed: bool
    removed: list[str]
    foreign: tuple[CdiSpecFile, ...]  # specifications of the same kind that are not ours
    warnings: tuple[str, ...] = ()
    complete: bool = True  # False: NVML was silent, so MIG devices and what images require are not known


class Settings(NamedTuple):
    wanted: tuple[tuple[str, ...], ...] = ()  # capability sets to build besides the usual ones
    ways: tuple[Way, ...] = WAYS
    library_links: bool = False
    roots: Roots | None = None  # what is asked for: the result of another caller for other roots is no answer


def foreign(snapshot: Snapshot, kind: str = KIND) -> tuple[CdiSpecFile, ...]:
    return tuple(spec for spec in snapshot.cdi_specs if spec.kind == kind and spec.plan is None)


def compiled(snapshot: Snapshot, paths: Paths, settings: Settings) -> Compiled:
    """The plan for this machine, without touching it."""
    wanted = tuple(dict.fromkeys((*USUAL, *settings.wanted, *_in_use(snapshot))))
    return compile_plan(snapshot, trees=paths.trees, wanted=wanted, library_links=settings.library_links)


def _in_use(snapshot: Snapshot) -> list[tuple[str, ...]]:
    """Capability sets that somebody asked for before: our own specification still names them."""
    labels = {
        device.partition(".")[2] for spec in snapshot.cdi_specs if spec.plan is not None for device in spec.devices
    }
    sets = [label.split(".") for label in sorted(labels) if label]
    return [capabilities.canonical(names) for names in sets if set(names) <= set(capabilities.ALL)]


def prepared(made: Compiled, paths: Paths, settings: Settings) -> str:
    """Build the driver tree and write the plan. Returns the plan's path. Nothing refers to either yet."""
    tree.build(f"{paths.trees}/{made.generation}", made.contents, settings.ways)
    path = plan_path(made.plan, paths)
    if not os.path.exists(path):
        publish.write(path, plan_bytes(made.plan))
    return path


def plan_bytes(plan: Plan) -> bytes:
    return json.dumps(plan, sort_keys=True, separators=(",", ":")).encode()


def plan_path(plan: Plan, paths: Paths) -> str:
    return f"{paths.plans}/{hashlib.sha256(plan_bytes(plan)).hexdigest()[:16]}.json"


def options(snapshot: Snapshot, hook: tuple[str, ...], plan: str) -> project.Options:
    """What the specification is projected with: group ids only when every engine that is here can read them."""
    known = not isinstance(snapshot.engines, Missing) and all(_reads_groups(engine) for engine in snapshot.engines)
    return project.Options(hook=(*hook, "--plan", plan), groups=known)


def _reads_groups(engine: Engine) -> bool:
    """Whether it reads cdiVersion 0.7.0, or no specification at all. Older ones refuse the whole file."""
    if engine.cdi is False:
        return True
    numbers = re.findall(r"\d+", engine.version) if isinstance(engine.version, str) else []
    return tuple(map(int, numbers[:2])) >= FIRST_WITH_GROUPS.get(engine.name, (0,))


def refresh(
    take: Callable[[], Snapshot], hook: Callable[[], tuple[str, ...]], paths: Paths, settings: Settings
) -> Outcome:
    """Make tree, plan and specification fit the machine as it is now. One caller works, the others wait for it.

    Raises DriverProblemError when there is no usable driver or GPU; our own specification is removed then, so that
    engines refuse the device instead of starting containers with what is gone.
    """
    check(paths)
    asked = time.time_ns()
    with publish.lock(paths.lock) as waited:
        done = _done_meanwhile(paths, settings, asked) if waited else None
        if done:
            return done
        began = time.time_ns()
        snapshot = take()
        try:
            made = compiled(snapshot, paths, settings)
        except DriverProblemError as error:
            _remember(snapshot, paths, settings)  # where to look is told, whether or not something is there today
            removed = withdraw(paths)
            if removed:
                error.why += f"; removed {', '.join(removed)}, which no longer holds"
            raise
        silent = isinstance(snapshot.nvml, Missing) and not snapshot.system.wsl
        kept = _still_good(paths, settings, snapshot.roots) if silent else None
        if kept:  # better than what could be made of a driver that does not answer
            return kept._replace(warnings=tuple(warnings(snapshot)), complete=False)
        others = foreign(snapshot)
        if others:  # two specifications that define one device: engines would refuse it
            changed = _write_extras(made.plan, snapshot, paths)
            return Outcome(made.plan, None, changed, _remove([paths.spec]), others)
        _remember(snapshot, paths, settings)
        plan = prepared(made, paths, settings)
        chosen = options(snapshot, hook(), plan)
        spec = codec.encode(project.gpus(made.plan, chosen), "json")
        changed = _write_extras(made.plan, snapshot, paths) | _switch(paths.spec, spec)
        # `cdi generate` makes specifications too: a plan stays as long as one names it.
        named = {os.path.basename(plan), *(f"{spec.plan}.json" for spec in snapshot.cdi_specs)}
        removed = collect.collect(paths, generation=made.generation, plans=named, switched=changed)
        os.utime(paths.lock, ns=(began, began))
    return Outcome(made.plan, paths.spec, changed, removed, (), tuple(warnings(snapshot)), not silent)


def _done_meanwhile(paths: Paths, settings: Settings, asked: int) -> Outcome | None:
    """What another caller has made that looked at the machine after this one asked, when it is all that is wanted."""
    if os.stat(paths.lock).st_mtime_ns < asked:
        return None
    return _still_good(paths, settings, settings.roots)


def _still_good(paths: Paths, settings: Settings, roots: Roots | None) -> Outcome | None:
    """What is in place, when it fits the machine and holds all that is wanted."""
    try:
        found = current.current(paths)
    except GpudockError:
        return None
    plan = found.plan
    wanted = {capabilities.label(names) for names in settings.wanted}
    if not wanted <= plan["variants"].keys() or plan["library_links"] != settings.library_links:
        return None
    if roots and (roots.driver, roots.dev, roots.simulated) != (
        plan["driver_root"],
        plan["dev_root"],
        plan["simulated"],
    ):
        return None
    return Outcome(plan, found.spec_path, False, [], ())


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


def preview(snapshot: Snapshot, hook: tuple[str, ...], paths: Paths, settings: Settings) -> Preview:
    """What `refresh` would write, without writing it."""
    made = compiled(snapshot, paths, settings)
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
    return _remove([paths.spec, *(_extra_path(paths, mode) for mode in EXTRA_KINDS)])


def _remove(ours: list[str]) -> list[str]:
    present = [path for path in ours if os.path.exists(path)]
    for path in present:
        os.unlink(path)
    return present
