"""The face of the driver tree that nvidia-docker 1's images know: bin, lib and lib64, in a folder of its own."""

import contextlib
import ctypes
import os
import stat
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from gpudock.errors import HostError, RefusedError
from gpudock.publish import sync_folder, sync_tree
from gpudock.refresh import place, tree

FOLDERS = ("bin", "lib", "lib64")
# No hard links: who mounts a volume may do so without `ro`, and root in a container then writes to the driver's own
# files. Not a read-only mount either: a runtime that sets other options on its own mount of it takes `ro` off, and
# nobody would mount it again after a reboot.
WAYS: tuple[place.Way, ...] = ("reflink", "copy")
_MEND_SHARED = "free some space; or take the folder away, and let `gpudock volume create` make it again"
_RENAME_EXCHANGE, _AT_FDCWD = 2, -100


class Entry(NamedTuple):
    """Of a link its target, of a file its size and time, by which it is known however it was put there."""

    target: str = ""
    size: int = 0
    mtime_ns: int = 0


def content(folder: str) -> dict[str, Entry]:
    """What is below bin, lib and lib64, by path. Empty when the folder is not there."""
    return {path[len(folder) + 1 :]: _entry(path) for name in FOLDERS for path in _files(f"{folder}/{name}")}


def _files(folder: str) -> Iterator[str]:
    for here, folders, names in os.walk(folder):
        links = [name for name in folders if os.path.islink(f"{here}/{name}")]
        yield from (f"{here}/{name}" for name in (*names, *links))


def _entry(path: str) -> Entry:
    info = os.lstat(path)
    if stat.S_ISLNK(info.st_mode):
        return Entry(target=os.readlink(path))
    return Entry(size=info.st_size, mtime_ns=info.st_mtime_ns)


def staged(source: str, folder: str, mark: str) -> str:
    """A whole copy of the driver tree's variant `source` beside `folder`, under a name that ends with `mark`.

    Raises HostError, and leaves nothing half made.
    """
    wanted = content(source)
    if not any(path.startswith("lib64/libcuda.so") for path in wanted):
        raise HostError(f"{source} holds no libcuda.", why="the driver tree is not whole", mend="sudo gpudock refresh")
    parent, name = os.path.split(folder)
    stage = f"{parent}/.{name}.{os.urandom(4).hex()}{mark}"
    try:
        _build(source, stage, wanted)
    except OSError as error:
        tree.discard(stage)
        why = ": ".join(filter(None, (error.filename, error.strerror)))
        raise HostError("The driver volume cannot be made.", why=why, mend=place.mend(error)) from error
    except BaseException:
        tree.discard(stage)
        raise
    return stage


def _build(source: str, stage: str, wanted: dict[str, Entry]) -> None:
    os.mkdir(stage, 0o755)
    for path in (*FOLDERS, *sorted({os.path.dirname(path) for path in wanted})):
        os.makedirs(f"{stage}/{path}", 0o755, exist_ok=True)
    for path, entry in wanted.items():
        if entry.target:
            _inside(path, entry.target)
            os.symlink(entry.target, f"{stage}/{path}")
        else:
            place.place(f"{source}/{path}", f"{stage}/{path}", WAYS)
    if content(stage) != wanted:
        raise HostError("The driver tree changed while it was read.", mend="wait for `gpudock refresh` to end")
    sync_tree(stage, files=False)


def _inside(path: str, target: str) -> None:
    if target.startswith("/") or os.path.normpath(f"{os.path.dirname(path)}/{target}").startswith(".."):
        raise RefusedError(f"The link {path} of the driver tree leads out of it.", why=target)


def unshare(folder: str, mark: str) -> None:
    """Give a volume files of its own where they are hard links: those of nvidia-docker 1 are the driver's very files.

    Each is replaced in one step. A container may have the volume mounted and change it meanwhile: all goes by
    descriptors, no link is followed, and links that a container makes within the volume are left as they are.
    Raises HostError.
    """
    for _, _, files, fd in os.fwalk(folder):  # one that was killed meanwhile
        for name in files:
            if name.startswith(".") and name.endswith(mark):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=fd)
    names = Counter(found.inode for found in _linked(folder))
    for found in _linked(folder):
        if found.names <= names[found.inode]:
            continue
        fresh = f".{os.urandom(4).hex()}{mark}"
        here = f"/proc/self/fd/{found.fd}"
        try:
            place.place(f"{here}/{found.name}", f"{here}/{fresh}", WAYS)
            os.rename(fresh, found.name, src_dir_fd=found.fd, dst_dir_fd=found.fd)
            names[found.inode] -= 1
        except (HostError, OSError) as error:
            why = f"{found.name} is a hard link, and cannot be replaced: {getattr(error, 'why', '') or error}"
            raise HostError(f"{folder} may hold the driver's own files.", why=why, mend=_MEND_SHARED) from error


class _Linked(NamedTuple):
    fd: int  # of the folder, open until the next one is asked for
    name: str
    inode: tuple[int, int]
    names: int  # in this volume or elsewhere


def _linked(folder: str) -> Iterator[_Linked]:
    """Files that have more than one name."""
    for _, _, names, fd in os.fwalk(folder):
        for name in names:
            try:
                info = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except FileNotFoundError:  # a container has it mounted
                continue
            if stat.S_ISREG(info.st_mode) and info.st_nlink > 1:
                yield _Linked(fd, name, (info.st_dev, info.st_ino), info.st_nlink)


def put(stage: str, folder: str) -> str | None:
    """Give the staged folder its name in one step. Returns where the old one is now; None when there was none."""
    if not os.path.isdir(folder):
        os.rename(stage, folder)
        sync_folder(os.path.dirname(folder))
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    old, new = os.fsencode(stage), os.fsencode(folder)
    if libc.renameat2(_AT_FDCWD, old, _AT_FDCWD, new, _RENAME_EXCHANGE) != 0:
        code = ctypes.get_errno()
        raise HostError(f"{folder} cannot be replaced.", why=os.strerror(code), mend="gpudock volume rm, then create")
    sync_folder(os.path.dirname(folder))
    return stage
