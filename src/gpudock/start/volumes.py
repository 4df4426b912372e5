"""A container's rootfs as it will be once its volumes are mounted, for a runtime that prepares it before that.

What is written now would be hidden below a volume, and a volume's content is somebody's data: so a file that one covers
is generated beside the bundle and mounted over it, read-only, and everything else there is left alone.
"""

import errno
import os
import stat

from gpudock.errors import HostError
from gpudock.start import oci, paths, walk
from gpudock.start.rootfs import ReadOnlyError, Rootfs, VolumeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Optional

    Json = Any

_OPTIONS = ["bind", "ro", "nosuid", "nodev", "rprivate"]
_BINDS = ("bind", "rbind")


class _Volume:
    """`place` is the destination behind the links of the rootfs; `source` is "" for what is no part of the host."""

    __slots__ = ("destination", "inside", "place", "shared", "source")

    def __init__(self, place: str, destination: str, source: str, *, shared: bool) -> None:
        self.place = place
        self.inside = place.rstrip("/") + "/"
        self.destination = destination
        self.source = source
        self.shared = shared  # what is mounted in it would be seen on the host, and stay there


class ContainerRoot(Rootfs):
    """`mounts` are those of config.json, `bundle` the folder for generated files."""

    __slots__ = ("_bundle", "_places", "_volumes", "generated")

    def __init__(
        self, path: str, mounts: "list[Json]", bundle: str, resolve: "Callable[..., int]" = walk.resolve
    ) -> None:
        super().__init__(path, resolve)
        self._bundle = bundle
        self._places = {"": ""}  # see place
        self._volumes: "list[_Volume]" = []
        self._volumes = [self._volume(mount) for mount in mounts if isinstance(mount, dict)]
        self.generated: "list[Json]" = []  # mounts that config.json needs at its end

    def stat(self, path: str) -> "Optional[os.stat_result]":
        place = self.place(path)
        volume = self._over(place)
        if volume is None:
            return super().stat(path)
        fd = _open(volume, place)
        if fd is None:
            return None
        try:
            return os.fstat(fd)
        finally:
            os.close(fd)

    def opened(self, path: str) -> "Optional[int]":
        place = self.place(path)
        volume = self._over(place)
        if volume is None:
            return super().opened(path)
        fd = _open(volume, place)
        if fd is None:
            return None
        try:
            mode = os.fstat(fd).st_mode
            if not stat.S_ISREG(mode) or not mode & stat.S_IROTH:  # what is made of it can be read by all
                raise VolumeError(path, volume.destination)
            return os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
        finally:
            os.close(fd)

    def names(self, path: str, limit: int) -> "Optional[list[str]]":
        return super().names(path, limit) if self._over(self.place(path)) is None else None

    def publish(self, path: str, data: bytes, mode: int = 0o644) -> None:
        place = self.place(path)
        volume = self._over(place)
        if volume is None:
            try:
                super().publish(path, data, mode)
            except ReadOnlyError:
                if not _is_file(super().stat(path)):
                    raise
                self._generate(path, data, mode)
        elif not volume.shared and _has(volume, place, stat.S_ISREG):
            self._generate(path, data, mode)
        else:  # a mount needs something to lie on, and making that would write into the volume
            raise VolumeError(path, volume.destination)

    def link(self, path: str, target: str) -> None:
        folder, _, leaf = path.rpartition("/")
        volume = self._over(self.place(folder) + "/" + leaf)
        if volume is not None:
            raise VolumeError(path, volume.destination)
        super().link(path, target)

    def obstacle(self, path: str) -> str:
        """The volume inside of which the runtime would have to make a folder to mount on `path`; "" when none."""
        place = self.place(path)
        volume = self._over(place)
        if volume is None or volume.destination == path:  # which ours replaces
            return ""
        if volume.shared:
            return volume.destination
        if not volume.source or volume.place == place:
            return ""
        return "" if _has(volume, place, stat.S_ISDIR) else volume.destination

    def node_obstacle(self, path: str) -> str:
        """The volume inside of which the runtime would have to make the device node `path`; "" when none.

        A volume on /dev itself is left alone by runtimes: they make no nodes then.
        """
        place = self.place(path)
        volume = self._over(place)
        if volume is None or not volume.source or volume.place in {"/dev", place}:
            return ""
        return "" if self.stat(path) is not None else volume.destination

    def _volume(self, mount: "dict[str, Json]") -> _Volume:
        destination = paths.normal(oci.path_in(mount, "destination"))
        options = mount.get("options") or ()
        is_bind = mount.get("type") in _BINDS or any(name in options for name in _BINDS)
        source = paths.join(self._bundle, oci.path_in(mount, "source")) if is_bind else ""
        shared = "shared" in options or "rshared" in options
        return _Volume(self.place(destination), destination, source, shared=shared)

    def _over(self, place: str) -> "Optional[_Volume]":
        """The last mounted of those that cover it."""
        inside = place + "/"
        for volume in reversed(self._volumes):
            if inside.startswith(volume.inside):
                return volume
        return None

    def place(self, path: str) -> str:
        """The path behind the links of the rootfs. Only to compare paths: nothing is opened by it."""
        path = path.rstrip("/")
        known = self._places.get(path)
        if known is None:
            known = self._places[path] = self._placed(path)
        return known

    def _placed(self, path: str) -> str:
        folder, _, leaf = path.rpartition("/")
        parent = self._within(folder)
        if parent is not None:
            try:
                os.readlink(leaf, dir_fd=parent)
            except OSError:  # no link
                pass
            else:
                return self._behind(path)
        return f"{self.place(folder)}/{leaf}"

    def _behind(self, path: str) -> str:
        """As place, whatever lies on the way."""
        root = os.readlink(f"/proc/self/fd/{self.fd}").rstrip("/")
        there, rest, links = path.strip("/").split("/"), "", 0
        while there:
            try:
                fd = self._resolve(self.fd, "/".join(there) or ".")
            except OSError:
                target = self._target("/".join(there[:-1]) or ".", there[-1]) if links < walk.LINKS else ""
                if target:  # it leads to something that only a volume has
                    links += 1
                    there = [*([] if target.startswith("/") else there[:-1]), *target.strip("/").split("/")]
                else:
                    rest = f"/{there.pop()}{rest}"
                continue
            try:
                return os.readlink(f"/proc/self/fd/{fd}")[len(root) :].rstrip("/") + rest
            finally:
                os.close(fd)
        return rest

    def _target(self, folder: str, leaf: str) -> str:
        """Of a link in the rootfs; "" when there is none."""
        try:
            parent = self._resolve(self.fd, folder)
        except OSError:
            return ""
        try:
            return os.readlink(leaf, dir_fd=parent)
        except OSError:
            return ""
        finally:
            os.close(parent)

    def _generate(self, path: str, data: bytes, mode: int) -> None:
        source = f"{self._bundle}/gpudock{path.replace('/', '-')}"
        oci.put(source, data, mode, self.owner)
        self.generated = [each for each in self.generated if each["destination"] != path]
        self.generated.append({"destination": path, "type": "bind", "source": source, "options": list(_OPTIONS)})


def _has(volume: _Volume, place: str, is_kind: "Callable[[int], bool]") -> bool:
    """Without following links: in the container they may lead into another volume, where a mount would make files."""
    fd = _open(volume, place, follow=False)
    if fd is None:
        return False
    try:
        return is_kind(os.fstat(fd).st_mode)
    finally:
        os.close(fd)


def _plain(base: int, rest: str) -> int:
    here = os.dup(base)
    for name in rest.split("/"):
        try:
            below = os.open(name, walk.PLAIN, dir_fd=here)
        finally:
            os.close(here)
        here = below
    return here


def _open(volume: _Volume, place: str, *, follow: bool = True) -> "Optional[int]":
    """An O_PATH descriptor of what the volume has at that place of the container; None when it has nothing there."""
    if not volume.source:
        return None
    rest = place[len(volume.place) :].strip("/")
    try:
        base = os.open(volume.source, os.O_PATH | os.O_CLOEXEC)
        if not rest:
            return base
        try:
            return walk.resolve(base, rest) if follow else _plain(base, rest)
        finally:
            os.close(base)
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES}:
            return None
        raise HostError(f"The volume {volume.source} cannot be looked at.", why=error.strerror or "") from error


def _is_file(found: "Optional[os.stat_result]") -> bool:
    return found is not None and stat.S_ISREG(found.st_mode)
