"""Removes what no container uses any more: old generations of the driver tree, old plans, abandoned staging names."""

import contextlib
import json
import os
import re
import time
from collections.abc import Collection, Iterator

from gpudock import publish
from gpudock.errors import RefusedError
from gpudock.plan.document import SIZE_LIMIT
from gpudock.refresh import mounted, tree
from gpudock.refresh.paths import Paths

PLAN_AGE = 3600.0  # seconds; a container start that read the old specification is over by then
# Nothing else is touched: the folders may be shared with somebody.
_GENERATION = re.compile(r"(\d+(\.\d+)+|unversioned)-[0-9a-f]{12}")
_STAGED_GENERATION = re.compile(rf"\.{_GENERATION.pattern}\.[0-9a-f]{{8}}\.tmp")
_STAGED_VARIANT = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")
_PLAN = re.compile(r"[0-9a-f]{16}\.json")


def collect(paths: Paths, *, generation: str, plans: Collection[str], switched: bool = False) -> list[str]:
    """Remove all plans but `plans` and recent ones, and all generations that no plan names and nothing mounts.

    `generation` stays in any case. A container that is about to start has a plan, and mounts its tree only later.

    `switched`: the specification named another plan until now, so containers may still be starting with that one.
    Returns the paths that were removed. Call it with the refresh lock held.
    """
    _abandoned(paths, generation)
    removed = _plans(paths, plans, switched=switched)
    return [*removed, *_generations(paths, generation)]


def _abandoned(paths: Paths, generation: str) -> None:
    """What a refresh that was killed left under names of its own. The lock is ours: nobody is still at it."""
    generations = _folders(paths.trees)
    for name in filter(_STAGED_GENERATION.fullmatch, generations):
        tree.discard(f"{paths.trees}/{name}")
    if generation in generations:
        for name in filter(_STAGED_VARIANT.fullmatch, _folders(f"{paths.trees}/{generation}")):
            tree.discard(f"{paths.trees}/{generation}/{name}")
    for folder, start in ((paths.plans, "."), (paths.cdi, ".gpudock"), (paths.run, ".gpudock")):
        for name in _names(folder):
            if name.startswith(start) and name.endswith(".tmp"):
                os.unlink(f"{folder}/{name}")


def _generations(paths: Paths, current: str) -> list[str]:
    planned = {current, *_planned(paths)}
    old = [name for name in _folders(paths.trees) if _GENERATION.fullmatch(name) and name not in planned]
    mounted = _mounted(old) if old else set()
    unused = [f"{paths.trees}/{name}" for name in old if name not in mounted]
    for path in unused:
        tree.remove(path)
    return unused


def _planned(paths: Paths) -> Iterator[str]:
    """The generations of all plans that are there."""
    for name in filter(_PLAN.fullmatch, _names(paths.plans)):
        # A plan that is no plan is refused at container start too, and needs no tree.
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError, RefusedError):
            variants = json.loads(publish.read_capped(f"{paths.plans}/{name}", SIZE_LIMIT))["variants"]
            yield from [os.path.basename(os.path.dirname(variant["folder"])) for variant in variants.values()]


def _plans(paths: Paths, named: Collection[str], *, switched: bool) -> list[str]:
    removed = []
    for name in filter(_PLAN.fullmatch, _names(paths.plans)):
        path = f"{paths.plans}/{name}"
        if switched:
            os.utime(path)
        elif name not in named and time.time() - os.stat(path).st_mtime > PLAN_AGE:
            os.unlink(path)
            removed.append(path)
    return removed


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []


def _folders(folder: str) -> list[str]:
    """The names of real folders in a real folder: what a link leads to is not ours to remove."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):  # the latter: a link
        return []
    try:
        with os.scandir(fd) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    finally:
        os.close(fd)


def _mounted(generations: list[str]) -> set[str]:
    """Those that some process has mounted. What is mounted counts, not where: files that are bound into a tree are no
    use of it.
    """
    found: set[str] = set()
    for fields in mounted.everywhere(mounted.table):
        found.update(set(fields[3].split("/")).intersection(generations))
    return found
