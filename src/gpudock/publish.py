"""Files that others read while we write them: either the old one or the new one is there, whole, whatever happens."""

import contextlib
import errno
import fcntl
import os
import stat
import sys
from collections.abc import Iterator

from gpudock.errors import HostError, RefusedError

_ANYONE_ELSE_WRITES = 0o022
_MOST_LINKS = 40  # as the kernel's own limit


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


def write(path: str, data: bytes, mode: int = 0o644, owner: tuple[int, int] | None = None) -> None:
    """Replace `path`: temporary name, owner and mode, fsync, rename, fsync of the folder. An error leaves the old file.

    `owner`: ids of the user and group to give it to, root's privilege.
    """
    folder = os.path.dirname(path) or "."
    make_folder(folder)
    temporary = os.path.join(folder, f".{os.path.basename(path)}.{os.urandom(6).hex()}.tmp")
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(data)
                file.flush()
                if owner is not None:
                    os.fchown(file.fileno(), *owner)
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
    _sync(folder, os.O_DIRECTORY)


def sync_tree(folder: str, *, files: bool = True) -> None:
    """Make all that is below `folder` survive a power loss, before a rename says that it is whole.

    Without `files`, only the folders: for hard links, and for what was synced when it was written.
    """
    for here, _, names in os.walk(folder, topdown=False, onerror=_raise):
        for name in names if files else ():
            if not os.path.islink(f"{here}/{name}"):
                _sync(f"{here}/{name}", os.O_NOFOLLOW)
        sync_folder(here)


def _raise(error: OSError) -> None:
    raise error


def _sync(path: str, flags: int) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def insecure(path: str) -> str | None:
    """Why others than root and this very user could put something else at `path`; None when nobody could.

    The way to it counts too. Of a path that does not exist yet, it is asked of its nearest existing folder.
    """
    here = path
    try:
        for here in _way(path):
            info = os.lstat(here)
            own_entries_only = stat.S_ISDIR(info.st_mode) and info.st_mode & stat.S_ISVTX
            if not owned(info) or (info.st_mode & _ANYONE_ELSE_WRITES and not own_entries_only and not _link(info)):
                return f"{here} can be changed by others than root"
    except (FileNotFoundError, NotADirectoryError):
        here = os.path.dirname(here)
    except OSError as error:
        return f"{here} cannot be followed: {error.strerror}"
    last = os.stat(here)  # anybody makes new entries in a sticky folder
    if stat.S_ISDIR(last.st_mode) and last.st_mode & _ANYONE_ELSE_WRITES:
        return f"anybody can put something into {here}"
    return None


def owned(info: os.stat_result) -> bool:
    """By root or this very user."""
    return info.st_uid in {0, os.geteuid()}


def kept_by_us(path: str) -> bool:
    """Whether the file or folder itself, and no link in its place, is ours and not writable by others."""
    try:
        info = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return owned(info) and not _link(info) and not info.st_mode & _ANYONE_ELSE_WRITES


def _link(info: os.stat_result) -> bool:
    return stat.S_ISLNK(info.st_mode)


def _way(path: str) -> Iterator[str]:
    """Each folder and link that leads to a file, and the file itself."""
    todo, done, links = path.split("/")[::-1], "/", 0
    yield done
    while todo:
        part = todo.pop()
        if part == "..":
            done = os.path.dirname(done)
        elif part not in {"", "."}:
            here = os.path.join(done, part)
            yield here
            if os.path.islink(here):
                links += 1
                if links > _MOST_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
                target = os.readlink(here)
                todo += target.split("/")[::-1]
                done = "/" if target.startswith("/") else done
            else:
                done = here


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
