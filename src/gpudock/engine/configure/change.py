"""Changes of files as values: shown as a difference, made in one step, taken back."""

import contextlib
import difflib
import os
import stat
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from gpudock import publish
from gpudock.errors import HostError, RefusedError
from gpudock.host.root import Root

BACKUP = ".before-gpudock"  # beside the file; empty when there was no file
LIMIT = 1 << 20
NEW_MODE = 0o644


class Change(Protocol):
    def describe(self) -> str:
        """What it does, for a person; "" when it does nothing."""

    def apply(self) -> None:
        """Raises GpudockError, and has then done nothing."""

    def revert(self) -> None:
        """Back to before `apply`. Raises GpudockError."""


@dataclass
class ConfigFile:
    """A file as it is: read once, so that what is shown is what is changed, and never written over another's change."""

    path: str  # as the engine names it
    real: str  # behind all links, on this machine
    data: bytes | None  # None: it is not there
    info: os.stat_result | None = None

    def __post_init__(self) -> None:
        self._ours: tuple[bytes | None, ...] = (self.data,)  # what it may hold now if nobody else has written to it

    @property
    def backup(self) -> str:
        return self.real + BACKUP

    def before(self) -> bytes | None:
        """The file of the time before gpudock, b"" when there was none; None when that is not known."""
        try:
            return publish.read_capped(self.backup, LIMIT)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise HostError(f"{self.backup} cannot be read.", why=error.strerror or str(error)) from error

    def check(self) -> None:
        """Raise RefusedError when it holds neither what was read nor what was written here since."""
        try:
            present: bytes | None = publish.read_capped(self.real, LIMIT)
        except FileNotFoundError:
            present = None
        except OSError as error:
            raise _error("read", self.path, error) from error
        if present not in self._ours:
            why = "it no longer holds what gpudock read or wrote, so it was left as it is"
            raise RefusedError(f"{self.path} has changed meanwhile.", why=why, mend="run it again")

    def write(self, data: bytes | None) -> None:
        """Its new content, None for no file. Call check() before."""
        self._ours = (*self._ours, data)  # either, when this is interrupted
        _replace(self.real, data, self.info)
        self._ours = (data,)


def read(root: Root, path: str) -> ConfigFile:
    """Raises RefusedError for what is no file, for a link to nothing, and where others could change root's files."""
    found = root.lstat(path)
    inside = root.resolve(path)
    if found is not None and inside is None:
        target = root.readlink(path)
        why = f"it is a link to {target}, and nothing is there" if target else "its links lead nowhere"
        raise RefusedError(f"{path} cannot be changed.", why=why, mend="remove the link, or make the file it leads to")
    real = root.host(inside) if inside is not None else _new(root, path)
    problem = publish.insecure(os.path.dirname(real))
    if problem and os.geteuid() == 0:
        raise RefusedError(f"{path} must not be changed as root.", why=problem, mend="let only root write there")
    try:
        info = os.stat(real)
    except FileNotFoundError:
        return ConfigFile(path, real, None)
    except OSError as error:
        raise _error("read", path, error) from error
    if not stat.S_ISREG(info.st_mode):
        raise RefusedError(f"{path} is no file.", why="a folder or a device is in its place", mend="move it away")
    try:
        return ConfigFile(path, real, publish.read_capped(real, LIMIT), info)
    except OSError as error:
        raise _error("read", path, error) from error


def _new(root: Root, path: str) -> str:
    """Where a file that is not there yet will be: its nearest folder that is there may be behind links."""
    above, rest = os.path.dirname(path), os.path.basename(path)
    while (inside := root.resolve(above)) is None:
        above, rest = os.path.dirname(above), os.path.join(os.path.basename(above), rest)
    return root.host(os.path.join(inside, rest))


def _error(verb: str, path: str, error: OSError) -> HostError:
    mend = "run it as root (sudo)" if isinstance(error, PermissionError) else ""
    return HostError(f"Cannot {verb} {path}.", why=error.strerror or str(error), mend=mend)


class FileChange(NamedTuple):
    """`after` None: the file goes. `keep`: what it was is put beside it. `forget`: that is taken away again."""

    file: ConfigFile
    after: bytes | None
    keep: bool = False
    forget: bool = False

    def describe(self) -> str:
        old, new = (_lines(data) for data in (self.file.data, self.after))
        before, after = ("/dev/null" if data is None else self.file.path for data in (self.file.data, self.after))
        return "\n".join(line.rstrip("\n") for line in difflib.unified_diff(old, new, before, after, lineterm=""))

    def apply(self) -> None:
        self.file.check()
        if self.keep:
            _replace(self.file.backup, self.file.data or b"", self.file.info)
        self.file.write(self.after)
        if self.forget:
            _replace(self.file.backup, None, None)

    def revert(self) -> None:
        self.file.check()
        self.file.write(self.file.data)
        if self.keep:
            _replace(self.file.backup, None, None)


def _lines(data: bytes | None) -> list[str]:
    text = (data or b"").decode(errors="backslashreplace")
    return [
        line if line.endswith("\n") else line + "\n\\ No newline at end of file"
        for line in text.splitlines(keepends=True)
    ]


def _replace(path: str, data: bytes | None, like: os.stat_result | None) -> None:
    """In one step, with the owner and mode of the file that was there."""
    if data is not None:
        owner = (like.st_uid, like.st_gid) if like is not None and os.geteuid() == 0 else None
        publish.write(path, data, NEW_MODE if like is None else stat.S_IMODE(like.st_mode), owner)
        return
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
            publish.sync_folder(os.path.dirname(path))
    except OSError as error:
        raise _error("remove", path, error) from error
