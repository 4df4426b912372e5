"""A container's root file system, as its image's author and its neighbours may have laid traps in it.

Everything goes through descriptors of the folder opened once; no path string is believed twice. Nothing is written
across a mount: what is mounted inside is a volume, and a volume's content is somebody's data on the host.
"""

import errno
import os
import stat

from gpudock.errors import HostError, RefusedError
from gpudock.start import mounts, reading, walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Optional

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_ASIDE = ("", ".", "..")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class VolumeError(RefusedError):
    """A mount lies over the place that would have to be written."""

    def __init__(self, path: str, volume: str) -> None:
        super().__init__(
            f"{path} cannot be written in this container.",
            why=f"the volume on {volume} covers it, and gpudock writes into no volume",
            mend=f"mount that volume elsewhere than on {volume}",
        )
        self.volume = volume


class OccupiedError(RefusedError):
    """A folder stands where a file or link should be put."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} is a folder in this container.", why="a file or link is needed in its place")


class ReadOnlyError(HostError):
    """crun makes the root file system of a read-only container so before its hooks run; runc does it later."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path} cannot be written in this container.",
            why="its root file system is read-only already",
            mend="start it without --read-only, or with runc",
        )


class Rootfs:
    """`path` is the rootfs on this machine, for opening it and for messages. The umask must be 022 for what is made.

    `resolve` finds a path inside a folder descriptor: see walk.resolve.
    """

    __slots__ = ("_folders", "_mount", "_mounts", "_resolve", "fd", "owner", "path")

    def __init__(self, path: str, resolve: "Callable[..., int]" = walk.resolve) -> None:
        self.path = path
        self.owner = (0, 0)  # of what is made, user and group: the container's root, as this process counts
        self._resolve = resolve
        try:
            self.fd = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise HostError(
                "The container's root file system cannot be opened.", why=f"{path}: {error.strerror}"
            ) from error
        self._mount = mounts.mount_id(self.fd)
        # By path, open: nearly everything lies in a handful of folders. None for what leads to none.
        self._folders: "dict[str, Optional[int]]" = {"": self.fd}
        self._mounts = {self.fd: self._mount}  # by those descriptors: what is mounted over one later changes nothing

    def close(self) -> None:
        for fd in {*self._folders.values()} - {None}:
            os.close(fd)  # type: ignore[arg-type]

    def stat(self, path: str) -> "Optional[os.stat_result]":
        """Of what `path` leads to inside; None when it leads nowhere, however it does that."""
        folder, _, leaf = path.rpartition("/")
        try:
            if leaf not in _ASIDE:
                parent = self._within(folder)
                if parent is None:
                    return None
                found = os.stat(leaf, dir_fd=parent, follow_symlinks=False)
                if not stat.S_ISLNK(found.st_mode):
                    return found
            fd = self._resolve(self.fd, path)
        except OSError:
            return None
        try:
            return os.fstat(fd)
        finally:
            os.close(fd)

    def read(self, path: str, limit: int) -> "Optional[bytes]":
        """A file of at most `limit` bytes; None when it is not there. Anything but a plain file is refused unopened."""
        fd = self.opened(path)
        if fd is None:
            return None
        try:
            if os.fstat(fd).st_size > limit:
                raise RefusedError(f"{path} in this container is larger than {limit} bytes.")
            return reading.upto(fd, limit)[:limit]
        except OSError as error:
            raise _unreachable(path, error) from error
        finally:
            os.close(fd)

    def opened(self, path: str) -> "Optional[int]":
        """A plain file, for reading; None when it is not there. Anything else is refused unopened."""
        return self._opened(path, stat.S_ISREG, "plain file", os.O_RDONLY)

    def names(self, path: str, limit: int) -> "Optional[list[str]]":
        """What the folder `path` holds, at most `limit` names; None when it is not there."""
        fd = self._opened(path, stat.S_ISDIR, "folder", os.O_RDONLY | os.O_DIRECTORY)
        if fd is None:
            return None
        try:
            with os.scandir(fd) as entries:
                found = [entry.name for _, entry in zip(range(limit + 1), entries)]
        except OSError as error:
            raise _unreachable(path, error) from error
        finally:
            os.close(fd)
        if len(found) > limit:
            raise RefusedError(f"{path} in this container holds more than {limit} files.")
        return sorted(found)

    def publish(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Make or replace the file `path` by one rename. A link there is followed, inside; missing folders are made."""
        parent, leaf = self._destination(path)
        self._replace(parent, leaf, path, lambda name: _write(name, parent, data, mode, self.owner))

    def link(self, path: str, target: str) -> None:
        """Make `path` a link to `target`, replacing a file or another link, but no folder; missing folders are made."""
        folder, leaf = _split(path)
        parent = self._folder(folder)
        if _readlink(leaf, parent) == target:
            return
        self._own(parent, path)
        try:
            _symlink(target, leaf, parent, self.owner)
        except FileExistsError:
            self._replace(parent, leaf, path, lambda name: _symlink(target, name, parent, self.owner))
        except OSError as error:
            raise _unwritable(path, error) from error

    def _opened(self, path: str, is_kind: "Callable[[int], bool]", kind: str, flags: int) -> "Optional[int]":
        """Looked at by a descriptor that opens nothing, and only then opened: of a FIFO or device even that is felt."""
        try:
            fd = self._found(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unreachable(path, error) from error
        try:
            if not is_kind(os.fstat(fd).st_mode):
                raise RefusedError(f"{path} in this container is not a {kind}.")
            return os.open(f"/proc/self/fd/{fd}", flags | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError as error:
            raise _unreachable(path, error) from error
        finally:
            os.close(fd)

    def _found(self, path: str) -> int:
        """An O_PATH descriptor of what `path` leads to."""
        folder, _, leaf = path.rpartition("/")
        parent = self._within(folder) if leaf not in _ASIDE else None
        if parent is not None:
            fd = os.open(leaf, walk.PLAIN, dir_fd=parent)
            if not stat.S_ISLNK(os.fstat(fd).st_mode):
                return fd
            os.close(fd)
        return self._resolve(self.fd, path)

    def _destination(self, path: str) -> "tuple[int, str]":
        """Folder descriptor and name of the file itself, behind links in the last place. A dangling one is refused."""
        place = path
        for _ in range(walk.LINKS):
            folder, leaf = _split(place)
            parent = self._folder(folder)
            target = _readlink(leaf, parent)
            if target is None:
                return parent, leaf
            place = target if target.startswith("/") else f"{folder}/{target}"
            if self.stat(place) is None:
                raise RefusedError(f"{path} is a dangling link in this container.", why=f"it leads to {place!r:.200}")
        raise RefusedError(f"{path} leads through too many links in this container.")

    def _within(self, path: str) -> "Optional[int]":
        """The descriptor of the folder `path`, which stays open; None when there is none."""
        if path not in self._folders:
            try:
                self._folders[path] = self._looked_up(path)
            except OSError:
                self._folders[path] = None
        return self._folders[path]

    def _looked_up(self, path: str) -> "Optional[int]":
        above, _, name = path.rpartition("/")
        if name not in _ASIDE:
            parent = self._within(above)
            try:
                return None if parent is None else os.open(name, walk.FOLDER, dir_fd=parent)
            except NotADirectoryError:  # a link too
                pass
        return self._resolve(self.fd, path + "/")

    def _folder(self, path: str) -> int:
        """The descriptor of the folder `path`, which stays open; it is made when missing."""
        found = self._within(path)
        if found is None:
            folder, _, name = path.rpartition("/")
            try:
                found = self._folders[path] = self._make(self._folder(folder), name, path)
            except OSError as error:
                raise _unreachable(path, error) from error
        return found

    def _make(self, parent: int, name: str, path: str) -> int:
        """A descriptor of the folder `path`, made in `parent` as `name`."""
        self._own(parent, path)
        self._folders = {path: fd for path, fd in self._folders.items() if fd is not None}
        try:
            os.mkdir(name, 0o755, dir_fd=parent)
        except FileExistsError:  # a neighbour made it just now; or it is a link, which the look-up followed
            try:
                return self._resolve(self.fd, path + "/")
            except FileNotFoundError:
                raise RefusedError(f"{path} is a dangling link in this container.") from None
        except OSError as error:
            raise _unwritable(path, error) from error
        fd = os.open(name, _FOLDER, dir_fd=parent)
        try:
            self._own(fd, path, kept=False)
            _give(fd, self.owner)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _own(self, fd: int, path: str, *, kept: bool = True) -> None:
        """`kept`: `fd` is one of the folders, whose number nothing else gets as long as this lives."""
        number = self._mounts.get(fd) or mounts.mount_id(fd)
        if kept:
            self._mounts[fd] = number
        if number != self._mount:
            mount = mounts.find(number)
            raise VolumeError(path, self._inside(mount.point) if mount else "?")

    def _inside(self, point: str) -> str:
        """A mount point of this machine, as the container will call it; the string is for messages only."""
        root = os.readlink(f"/proc/self/fd/{self.fd}").rstrip("/")
        return point[len(root) :] if point.startswith(root + "/") else point

    def _replace(self, parent: int, leaf: str, path: str, make: "Callable[[str], None]") -> None:
        """`make` a file of another name in `parent`, and rename it to `leaf`.

        No fsync: with many starts at once on one disk it would take longer than all the rest of a start.
        """
        self._own(parent, path)
        self._check_leaf(parent, leaf, path)
        name = f".gpudock-{os.urandom(8).hex()}"
        try:
            make(name)
            os.rename(name, leaf, src_dir_fd=parent, dst_dir_fd=parent)
        except OSError as error:
            _remove(name, parent)
            raise _unwritable(path, error) from error

    def _check_leaf(self, parent: int, leaf: str, path: str) -> None:
        try:
            fd = os.open(leaf, walk.PLAIN, dir_fd=parent)
        except FileNotFoundError:
            return
        try:
            self._own(fd, path, kept=False)  # a single file can be a volume too
            if stat.S_ISDIR(os.fstat(fd).st_mode):
                raise OccupiedError(path)
        finally:
            os.close(fd)


def refuse_links(root: Rootfs) -> None:
    """Runtimes mount on these, and older ones follow such links on the host: CVE-2019-19921, CVE-2026-41579."""
    for name in ("dev", "proc", "sys"):
        target = _readlink(name, root.fd)
        if target is not None:
            raise RefusedError(f"/{name} of this image is a link.", why=f"it leads to {target!r:.200}")


def _split(path: str) -> "tuple[str, str]":
    folder, _, leaf = path.rpartition("/")
    if leaf in _ASIDE:
        raise RefusedError(f"{path!r:.200} names no file.")
    return folder, leaf


def _readlink(leaf: str, parent: int) -> "Optional[str]":
    try:
        return os.readlink(leaf, dir_fd=parent)
    except OSError:  # nothing, or no link: what is there is looked at before it is replaced
        return None


def _symlink(target: str, name: str, parent: int, owner: "tuple[int, int]") -> None:
    os.symlink(target, name, dir_fd=parent)
    if os.geteuid() == 0:
        os.chown(name, *owner, dir_fd=parent, follow_symlinks=False)


def _write(name: str, parent: int, data: bytes, mode: int, owner: "tuple[int, int]") -> None:
    fd = os.open(name, _CREATE, 0o600, dir_fd=parent)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        os.fchmod(fd, mode)
        _give(fd, owner)
    finally:
        os.close(fd)


def _give(fd: int, owner: "tuple[int, int]") -> None:
    """A folder with the set-group-ID bit would hand on another group."""
    if os.geteuid() == 0:
        os.fchown(fd, *owner)


def _remove(name: str, parent: int) -> None:
    try:
        os.unlink(name, dir_fd=parent)
    except OSError as error:
        if error.errno not in {errno.ENOENT, errno.EROFS}:  # it was never made
            raise


def _unreachable(path: str, error: OSError) -> RefusedError:
    return RefusedError(f"{path} cannot be reached in this container.", why=error.strerror or str(error))


def _unwritable(path: str, error: OSError) -> HostError:
    if error.errno == errno.EROFS:
        return ReadOnlyError(path)
    return HostError(f"{path} cannot be written in this container.", why=error.strerror or str(error))
