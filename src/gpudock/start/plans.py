"""Reads a plan, or another file that decides what root does: only from where nobody else could have changed it."""

import os
import stat

from gpudock.errors import HostError, RefusedError
from gpudock.plan import reader
from gpudock.plan.document import SIZE_LIMIT
from gpudock.start import parse, reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpudock.plan.document import Plan

_WHOLE = "4294967295"  # users in a user namespace that maps all of them: the machine's own


def read(path: str) -> "Plan":
    """The plan in the file `path`, checked. Raises GpudockError."""
    return reader.check(parse.json(trusted(path, SIZE_LIMIT), f"The start plan {path}", mend="sudo gpudock refresh"))


def trusted(path: str, limit: int) -> bytes:
    """A file of at most `limit` bytes that only root, or this very user, can have made. Raises GpudockError."""
    folder, _, name = path.rpartition("/")
    try:
        parent = os.open(folder or "/", os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
            try:
                _trust(os.fstat(parent), folder)
                _trust(os.fstat(fd), path)
                return _content(fd, path, limit)
            finally:
                os.close(fd)
        finally:
            os.close(parent)
    except OSError as error:
        raise HostError(
            f"{path} cannot be read.",
            why=error.strerror or str(error),
            mend="sudo gpudock refresh, and start the container again",
        ) from error


def _trust(found: os.stat_result, path: str) -> None:
    owners = {0, os.geteuid()}
    if found.st_uid not in owners and not (in_user_namespace() and found.st_uid == _nobody()):
        raise RefusedError(
            f"{path} belongs to user {found.st_uid}.", why="what decides at container start must belong to root"
        )
    if found.st_mode & 0o022:
        raise RefusedError(f"{path} can be written by others than its owner.", mend=f"chmod go-w {path}")


def in_user_namespace() -> bool:
    """Whether this is not the machine's own user namespace: its root is nobody here."""
    return _text("/proc/self/uid_map").split()[2:3] != [_WHOLE]


def _nobody() -> int:
    return int(_text("/proc/sys/kernel/overflowuid"))


def _text(path: str) -> str:
    return reading.file(path, 4096).decode()


def _content(fd: int, path: str, limit: int) -> bytes:
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise RefusedError(f"{path} is not a plain file.")
    data = reading.upto(fd, limit)
    if len(data) > limit:
        raise RefusedError(f"{path} is larger than {limit} bytes.", why="no such file of gpudock is that large")
    return data
