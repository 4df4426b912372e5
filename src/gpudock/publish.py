"""Files that others read while we write them: either the old one or the new one is there, whole, whatever happens."""

import contextlib
import fcntl
import os
import sys
from collections.abc import Iterator

from gpudock.errors import HostError, RefusedError


def _host_error(verb: str, path: str, error: OSError) -> HostError:
    mend = "run it as root (sudo)" if isinstance(error, PermissionError) else ""
    return HostError(f"Cannot {verb} {path}.", why=error.strerror or str(error), mend=mend)


@contextlib.contextmanager
def usual_umask() -> Iterator[None]:
    """What is made meanwhile can be read by all and changed by its owner only, whatever umask the caller has.

    With 077 users in containers could not look into the driver tree; with 000 anybody could change it.
    """
    before = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(before)


def make_folder(path: str, mode: int = 0o755) -> None:
    """Make a folder and its missing parents; one that is there keeps its mode."""
    try:
        with usual_umask():
            os.makedirs(path, mode=mode, exist_ok=True)
    except OSError as error:
        raise _host_error("make the folder", path, error) from error


def write(path: str, data: bytes, mode: int = 0o644) -> None:
    """Replace `path`: temporary name, chmod, fsync, rename, fsync of the folder. An error leaves the old file."""
    folder = os.path.dirname(path) or "."
    make_folder(folder)
    temporary = os.path.join(folder, f".{os.path.basename(path)}.{os.urandom(6).hex()}.tmp")
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(data)
                file.flush()
                os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
            os.rename(temporary, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
        sync_folder(folder)
    except OSError as error:
        raise _host_error("write", path, error) from error


def sync_folder(folder: str) -> None:
    """Make a rename in `folder` survive a power loss."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextlib.contextmanager
def lock(path: str) -> Iterator[bool]:
    """Hold the lock file `path` exclusively, saying so on stderr when that means to wait; gives whether it did.

    The file stays: its inode is the lock.
    """
    make_folder(os.path.dirname(path))
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _host_error("open the lock", path, error) from error
    try:
        waited = False
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.stderr.write(f"gpudock: waiting for another gpudock that holds {path}\n")
            fcntl.flock(fd, fcntl.LOCK_EX)
            waited = True
        yield waited
    finally:
        os.close(fd)


def read_capped(path: str, limit: int) -> bytes:
    """The bytes of a file of at most `limit` bytes. Raises OSError for what cannot be read, RefusedError for more."""
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise RefusedError(f"{path} is larger than {limit} bytes.", why="such a file is never that large")
    return data
