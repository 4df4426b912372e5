"""Removes what no container uses any more: old generations of the driver tree, old plans, abandoned staging names."""

import contextlib
import os
import time
from collections.abc import Collection, Iterator

from gpudock.refresh import tree
from gpudock.refresh.paths import Paths

PLAN_AGE = 3600.0  # seconds; a container start that read the old specification is over by then


def collect(paths: Paths, *, generation: str, plans: Collection[str], switched: bool = False) -> list[str]:
    """Remove all generations but `generation` and those mounted somewhere, and all plans but `plans` and recent ones.

    `switched`: the specification named another plan until now, so containers may still be starting with that one.
    Returns the paths that were removed. Call it with the refresh lock held.
    """
    _abandoned(paths, generation)
    return [*_generations(paths, generation), *_plans(paths, plans, switched=switched)]


def _abandoned(paths: Paths, generation: str) -> None:
    """What a refresh that was killed left under names of its own. The lock is ours: nobody is still at it."""
    for folder in (paths.trees, f"{paths.trees}/{generation}"):
        for name in _names(folder):
            if name.startswith("."):
                tree.discard(f"{folder}/{name}")
    for folder, start in ((paths.plans, "."), (paths.cdi, ".gpudock")):
        for name in _names(folder):
            if name.startswith(start) and name.endswith(".tmp"):
                os.unlink(f"{folder}/{name}")


def _generations(paths: Paths, current: str) -> list[str]:
    old = [name for name in _names(paths.trees) if name != current]
    mounted = _mounted(old) if old else set()
    unused = [f"{paths.trees}/{name}" for name in old if name not in mounted]
    for path in unused:
        tree.remove(path)
    return unused


def _plans(paths: Paths, named: Collection[str], *, switched: bool) -> list[str]:
    removed = []
    for name in _names(paths.plans):
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


def _mounted(generations: list[str]) -> set[str]:
    """Those that some process on this machine has mounted, in whichever mount namespace."""
    found: set[str] = set()
    for root in _mounted_folders():
        found.update(name for name in generations if f"/{name}/" in root)
    return found


def _mounted_folders() -> Iterator[str]:
    """What is mounted, not where: the driver files that are mounted inside of a tree do not count as its use."""
    seen: set[str] = set()
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError):
            namespace = os.readlink(f"/proc/{name}/ns/mnt")
            if namespace not in seen:
                with open(f"/proc/{name}/mountinfo", encoding="utf-8", errors="replace") as file:
                    yield from [line.split(" ", 4)[3] for line in file]
                seen.add(namespace)
