"""Builds the driver tree: one folder a capability set, below one folder a generation of driver files.

A variant is built under a staging name and renamed, so a folder that is there is whole. The one exception are bind
mounts, which a reboot takes away: a variant that holds some lists them, and is completed again.
"""

import contextlib
import json
import os
import re
from typing import IO

from gpudock.errors import HostError
from gpudock.facts.driver import DriverFile
from gpudock.gpu.layout import Content, TreeFile
from gpudock.publish import make_folder, sync_folder, sync_tree, usual_umask
from gpudock.refresh import place

BINDS = ".binds.json"  # in a variant's folder: tree path -> source, of what is bind-mounted
_ABSOLUTE_LIBRARY = re.compile(rb'("library_path"\s*:\s*")/[^"]*/([^"/]+")')


def build(generation: str, contents: dict[str, Content], ways: tuple[place.Way, ...] = place.WAYS) -> None:
    """Make each variant below the folder `generation` that is not there yet. A HostError leaves nothing half made."""
    make_folder(generation)
    for label, content in contents.items():
        variant = f"{generation}/{label}"
        if os.path.isdir(variant):
            _complete(variant)
            _mend(variant, content, ways)
        else:
            with usual_umask():
                _build_variant(generation, label, content, ways)


def _build_variant(generation: str, label: str, content: Content, ways: tuple[place.Way, ...]) -> None:
    staging = f"{generation}/.{label}.{os.urandom(4).hex()}.tmp"
    binds: dict[str, str] = {}
    try:
        os.mkdir(staging, 0o755)
        for folder in sorted(
            {os.path.dirname(path) for path, _ in (*content.files, *content.links)} | {"lib", "lib64"}
        ):
            os.makedirs(f"{staging}/{folder}", 0o755, exist_ok=True)
        for file in content.files:
            if _place(file, generation, staging, ways) == "bind":
                binds[file.path] = file.source.host
        for path, target in content.links:
            os.symlink(target, f"{staging}/{path}")
        if binds:
            with open(f"{staging}/{BINDS}", "x", encoding="utf-8") as out:
                json.dump(binds, out)
                _sync(out)
        sync_tree(staging, files=False)
        os.rename(staging, f"{generation}/{label}")
        sync_folder(generation)
    except OSError as error:
        discard(staging)
        why = ": ".join(filter(None, (error.filename, error.strerror)))
        raise HostError("The driver tree cannot be built.", why=why, mend=place.mend(error)) from error
    except BaseException:
        discard(staging)
        raise


def _place(file: TreeFile, generation: str, staging: str, ways: tuple[place.Way, ...]) -> str:
    target = f"{staging}/{file.path}"
    if file.source.role == "config" and _rewritten(file.source, target):
        return "written"
    sibling = _sibling(generation, file.path)
    if sibling and "link" in ways:  # a copy made for another variant serves this one too
        with contextlib.suppress(OSError):
            os.link(sibling, target, follow_symlinks=False)
            return "link"
    way = place.place(file.source.host, target, ways)
    if not _is(target, file.source):
        raise HostError(
            f"{file.source.host} changed while the driver tree was built.",
            why="the driver is being installed or upgraded",
            mend="wait for the installation to end, then run: sudo gpudock refresh",
        )
    return way


def _is(path: str, source: DriverFile) -> bool:
    try:
        info = os.lstat(path)
    except FileNotFoundError:
        return False
    return (info.st_size, info.st_mtime_ns) == (source.size, source.mtime_ns)


def _sibling(generation: str, path: str) -> str | None:
    for label in sorted(os.listdir(generation)):
        found = f"{generation}/{label}/{path}"
        if not label.startswith(".") and os.path.isfile(found) and not os.path.ismount(found):
            return found
    return None


def _rewritten(source: DriverFile, target: str) -> bool:
    """Write a loader's JSON with bare library names where the host's are absolute (NixOS); False when none is."""
    with open(source.host, "rb") as file:
        data = file.read(1 << 16)
    changed = _ABSOLUTE_LIBRARY.sub(rb"\1\2", data)
    if changed == data:
        return False
    with open(target, "xb") as out:
        out.write(changed)
        _sync(out)
    return True


def _sync(file: IO[bytes] | IO[str]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _complete(variant: str) -> None:
    """Mount again what a reboot took away."""
    try:
        with open(f"{variant}/{BINDS}", encoding="utf-8") as file:
            binds: dict[str, str] = json.load(file)
    except FileNotFoundError:
        return
    for path, source in binds.items():
        target = f"{variant}/{path}"
        try:
            if not os.path.samefile(source, target):
                place.bind(source, target)
        except OSError as error:
            raise HostError(f"Cannot mount {source} into the driver tree.", why=error.strerror or "") from error


def _mend(variant: str, content: Content, ways: tuple[place.Way, ...]) -> None:
    """Put again what was removed or changed since: a container start would refuse the tree for ever. Not mounted again
    but placed in another way, since a mount cannot be moved into the place of a file.
    """
    for path, source in content.files:
        target = f"{variant}/{path}"
        if source.role == "config" or _is(target, source):
            continue
        fresh = f"{target}.{os.urandom(4).hex()}.tmp"
        try:
            os.makedirs(os.path.dirname(target), 0o755, exist_ok=True)
            place.place(source.host, fresh, tuple(way for way in ways if way != "bind") or ("copy",))
            os.rename(fresh, target)
        except OSError as error:
            raise HostError(f"Cannot put {target} back.", why=error.strerror or "", mend=place.mend(error)) from error


def discard(folder: str) -> None:
    """Take a folder away, and first what is mounted in it: a build that was killed leaves both."""
    import shutil  # noqa: PLC0415  start-up time: there is seldom something to take away

    for point in place.mounted_below(folder):
        place.unbind(point)
    shutil.rmtree(folder, ignore_errors=True)


def remove(generation: str) -> None:
    """Take a whole generation away. It is renamed before, so that no half of it looks whole."""
    doomed = f"{os.path.dirname(generation)}/.{os.path.basename(generation)}.{os.urandom(4).hex()}.tmp"
    os.rename(generation, doomed)
    discard(doomed)
