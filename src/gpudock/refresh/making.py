"""What `refresh` and `cdi generate` both make: plan and driver tree for this machine, and the options of its
specification. Nothing here puts anything into force.
"""

import hashlib
import json
import os
import re
from typing import NamedTuple

from gpudock import publish
from gpudock.cdi import project
from gpudock.errors import GpudockError
from gpudock.facts.base import Missing
from gpudock.facts.engine import Engine
from gpudock.facts.snapshot import Roots, Snapshot
from gpudock.gpu.compile import USUAL, Compiled, compile_plan
from gpudock.plan import capabilities
from gpudock.plan.document import Plan
from gpudock.refresh import tree
from gpudock.refresh.paths import Paths
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


class Settings(NamedTuple):
    wanted: tuple[tuple[str, ...], ...] = ()  # capability sets to build besides the usual ones
    ways: tuple[Way, ...] = WAYS
    library_links: bool = False
    roots: Roots | None = None  # what is asked for: the result of another caller for other roots is no answer


def compiled(snapshot: Snapshot, paths: Paths, settings: Settings) -> Compiled:
    """The plan for this machine, without touching it."""
    wanted = tuple(dict.fromkeys((*USUAL, *settings.wanted, *_in_use(snapshot, paths.aside))))
    return compile_plan(snapshot, trees=paths.trees, wanted=wanted, library_links=settings.library_links)


def _in_use(snapshot: Snapshot, aside: str) -> list[tuple[str, ...]]:
    """Capability sets that somebody asked for before: our own specification still names them."""
    ours = [device for spec in snapshot.cdi_specs if spec.plan is not None for device in spec.devices]
    labels = {device.partition(".")[2] for device in (*ours, *_devices(aside))}
    sets = [label.split(".") for label in sorted(labels) if label]
    return [capabilities.canonical(names) for names in sets if set(names) <= set(capabilities.ALL)]


def _devices(aside: str) -> list[str]:
    if not os.path.exists(aside):
        return []
    from gpudock.cdi import store  # noqa: PLC0415  start-up time: most machines have no such file

    try:
        return [str(device["name"]) for device in store.load(aside)["devices"]]
    except (GpudockError, LookupError, TypeError):  # it is made anew
        return []


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
