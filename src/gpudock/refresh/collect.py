"""Removes what no container uses any more: old generations of the driver tree, old plans, abandoned staging names."""

import contextlib
import os
import shutil
import time
from collections.abc import Iterator

from gpudock.refresh import tree
from gpudock.refresh.paths import Paths

PLAN_AGE = 3600.0  # seconds; a container start that read the old specification is over by then


def collect(paths: Paths, *, generation: str, plan: str) -> list[str]:
    """Remove all generations but `generation` and those mounted somewhere, and all plans but `plan` and recent ones.

    Returns the paths that were removed. Call it with the refresh lock held.
    """
    removed: list[str] = []
    old = [name for name in _names(paths.trees) if name != generation]
    mounted = _mounted(old) if old else set()
    for name in old:
        path = f"{paths.trees}/{name}"
        if name.startswith("."):
            shutil.rmtree(path, ignore_errors=True)
        elif name not in mounted:
            tree.remove(path)
            removed.append(path)
    for name in _names(f"{paths.trees}/{generation}"):
        if name.startswith("."):
            shutil.rmtree(f"{paths.trees}/{generation}/{name}", ignore_errors=True)
    for name in _names(paths.plans):
        path = f"{paths.plans}/{name}"
        with contextlib.suppress(FileNotFoundError):
            if name != plan and time.time() - os.stat(path).st_mtime > PLAN_AGE:
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
    for table in _mount_tables():
        found.update(name for name in generations if f"/{name}/" in table)
    return found


def _mount_tables() -> Iterator[str]:
    seen: set[str] = set()
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError):
            namespace = os.readlink(f"/proc/{name}/ns/mnt")
            if namespace not in seen:
                with open(f"/proc/{name}/mountinfo", encoding="utf-8", errors="replace") as file:
                    yield file.read()
                seen.add(namespace)
