"""Four ways to put a driver file into the tree: hard link, reflink, bind mount, copy. The first that works is taken.

A hard link keeps the very file even when a package manager replaces it, and costs nothing; it needs the same file
system. A reflink shares the data on another folder of XFS or Btrfs. A bind mount works across file systems but must
be made again after a reboot, and needs root. A copy always works and costs its size.
"""

import contextlib
import errno
import fcntl
import os
import re
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, Literal

from gpudock.errors import HostError

if TYPE_CHECKING:
    import ctypes

Way = Literal["link", "reflink", "bind", "copy"]
WAYS: tuple[Way, ...] = ("link", "reflink", "bind", "copy")

_NEXT_WAY = {
    errno.EXDEV,  # another file system
    errno.EPERM,  # hard links forbidden, or not root
    errno.EACCES,
    errno.EMLINK,
    errno.EOPNOTSUPP,
    errno.ENOTTY,  # FICLONE unknown to the file system
    errno.EINVAL,
    errno.ENOSYS,
    errno.EROFS,
}
_FICLONE = 0x40049409
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_REMOUNT, _MS_BIND, _MS_PRIVATE = 1, 2, 4, 32, 4096, 1 << 18
_MNT_DETACH = 2


def place(source: str, target: str, ways: tuple[Way, ...] = WAYS) -> Way:
    """Make `target` (which must not exist) be the file `source`; returns the way taken. Raises HostError."""
    failure: OSError | None = None
    for way in ways:
        try:
            _PLACERS[way](source, target)
        except OSError as error:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(target)
            failure = error
            if error.errno not in _NEXT_WAY:
                break
        else:
            return way
    assert failure is not None
    why = failure.strerror or str(failure)
    raise HostError(f"Cannot put {source} into the driver tree.", why=why, mend=mend(failure)) from failure


def mend(error: OSError) -> str:
    return "free some space in the folder of the driver trees" if error.errno in {errno.ENOSPC, errno.EDQUOT} else ""


def _link(source: str, target: str) -> None:
    os.link(source, target, follow_symlinks=False)


def _reflink(source: str, target: str) -> None:
    with _regular(source) as old, open(target, "xb") as new:
        fcntl.ioctl(new.fileno(), _FICLONE, old.fileno())
        _finish(old.fileno(), new.fileno())
        os.fsync(new.fileno())


def _copy(source: str, target: str) -> None:
    import shutil  # noqa: PLC0415  start-up time: a tree that is there already is not copied again

    with _regular(source) as old, open(target, "xb") as new:
        shutil.copyfileobj(old, new, 1 << 20)
        new.flush()
        _finish(old.fileno(), new.fileno())
        os.fsync(new.fileno())


@contextlib.contextmanager
def _regular(path: str) -> Iterator[BinaryIO]:
    """The open file, and neither what a link leads to nor a FIFO that were put in its place since it was found."""
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.ESTALE, "it is no longer a regular file", path)
        yield file


def _finish(old: int, new: int) -> None:
    """Readable by all, executable as before, never setuid; the same times, so that a changed source is noticed."""
    info = os.fstat(old)
    os.fchmod(new, 0o755 if info.st_mode & 0o111 else 0o644)
    os.utime(new, ns=(info.st_atime_ns, info.st_mtime_ns))


def _bind(source: str, target: str) -> None:
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o444))
    bind(source, target)


def bind(source: str, target: str) -> None:
    """Mount the file `source` read-only on `target`: a container's `ro` would not reach a mount below the tree."""
    _mount(source, target, _MS_BIND)
    try:
        _mount(None, target, _MS_BIND | _MS_REMOUNT | _MS_RDONLY | _MS_NOSUID | _MS_NODEV)
        _mount(None, target, _MS_PRIVATE)
    except OSError:
        unbind(target)
        raise


def unbind(target: str) -> None:
    """Take the mount away, if there is one."""
    _libc().umount2(os.fsencode(target), _MNT_DETACH)


def mounted_below(folder: str) -> list[str]:
    """Mount points below a folder, as this process sees them, the innermost first."""
    start = os.path.join(os.path.realpath(folder), "")
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
        points = [re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), line.split(" ")[4]) for line in table]
    return [point for point in reversed(points) if point.startswith(start)]


def _mount(source: str | None, target: str, flags: int) -> None:
    import ctypes  # noqa: PLC0415  start-up time: few trees hold mounts

    raw = os.fsencode(source) if source is not None else None
    if _libc().mount(raw, os.fsencode(target), None, ctypes.c_ulong(flags), None) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), target)


def _libc() -> "ctypes.CDLL":
    import ctypes  # noqa: PLC0415  the same

    return ctypes.CDLL(None, use_errno=True)


_PLACERS = {"link": _link, "reflink": _reflink, "bind": _bind, "copy": _copy}
