"""Driver volumes on disk: FOLDER/nvidia_driver/VERSION/{bin,lib,lib64}, made from the driver tree that is in force.

What is there is whole: it is built under another name and renamed. All changes happen under one lock, which the daemon
and `gpudock volume` share.
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from gpudock import publish
from gpudock.compat import volume_build, volume_record
from gpudock.compat.volume_name import DRIVER, VERSION, Name, VolumeError, parsed
from gpudock.compat.volume_use import blind, in_use
from gpudock.errors import GpudockError, HostError, RefusedError
from gpudock.plan import capabilities
from gpudock.plan.document import Plan
from gpudock.refresh import tree
from gpudock.refresh.paths import ROOT, Paths

STARTING = 60.0  # seconds between Docker's Mount and the mount itself, at most
_MARK = ".tmp"
_OF_V1 = "/var/lib/nvidia-docker/volumes"  # known to people's scripts, and to what mounts the driver without asking


def usual_folder(where: Paths) -> str:
    """Where volumes are unless told otherwise: in nvidia-docker 1's place, when the rest is in the usual one."""
    given = os.geteuid() != 0 and os.access(os.path.dirname(_OF_V1), os.W_OK)  # to the user of nvidia-docker 1's unit
    return _OF_V1 if given or where.state == ROOT.state else f"{where.state}/volumes"


class Volume(NamedTuple):
    name: str
    mountpoint: str


class Volumes:
    """`plan` gives the plan that is in force and fits the machine, or raises a GpudockError: it is asked each time."""

    def __init__(self, folder: str, plan: Callable[[], Plan]) -> None:
        self.folder = folder.rstrip("/")
        self._plan = plan
        self._thread = threading.Lock()
        self._holding = threading.Lock()  # never held for long: containers wait for it
        self._held: dict[tuple[str, str], float] = {}  # (version, Docker's id) -> when it was mounted
        # Docker's word alone counts then: it says when a container ends, and removes no volume that one of its own has.
        self._blind = blind()

    @property
    def _versions(self) -> str:
        return f"{self.folder}/{DRIVER}"

    def _place(self, version: str) -> str:
        return f"{self._versions}/{version}"

    def prepare(self) -> None:
        """Make the folder, take away what a build that was killed has left, and see to it that no volume's files are
        the driver's own. Raises GpudockError.
        """
        publish.make_folder(self._versions)
        for folder in (self.folder, self._versions):
            danger = "it is a link" if os.path.islink(folder) else publish.insecure(folder)
            if danger:
                raise RefusedError(
                    f"Driver volumes must not be kept in {folder}.",
                    why=danger,
                    mend=f"let root own it: sudo chown root:root {folder}; or name another -d",
                )
        with self.changing(), publish.usual_umask():
            self._sweep()
            for volume in self.all():
                volume_build.unshare(volume.mountpoint, _MARK)

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Nobody else changes volumes meanwhile."""
        publish.make_folder(self._versions)
        with self._thread, publish.lock(f"{self.folder}/.lock"):
            yield

    def current(self) -> str:
        """The version that can be made now. Raises GpudockError."""
        version = self._plan()["driver"]
        if not VERSION.fullmatch(version):
            raise HostError("The driver has no version that a volume could be named by.", why="its files carry none")
        return version

    def create(self, name: str) -> Volume:
        """Make the volume of the present driver, unless it is there already. Raises VolumeError."""
        wanted = parsed(name)
        try:
            plan = self._plan()
        except GpudockError as error:
            raise VolumeError(str(error)) from error
        if wanted.version != plan["driver"]:
            raise VolumeError(f"invalid volume version: {name}", why=f"the driver is {plan['driver'] or 'unversioned'}")
        with self.changing():
            self.ensure(plan)
        return Volume(name, self._place(wanted.version))

    def ensure(self, plan: Plan) -> str:
        """The folder of this plan's driver, with the very files of the plan. For callers within `changing`."""
        source = plan["variants"][capabilities.label(capabilities.ALL)]["folder"]
        place = self._place(plan["driver"])
        if not os.path.isdir(place) or volume_build.content(place) != volume_build.content(source):
            with publish.usual_umask():
                old = volume_build.put(volume_build.staged(source, place, _MARK), place)
            if old:
                self._sweep()
        return place

    def find(self, name: str) -> Volume:
        """Raises VolumeError."""
        wanted = parsed(name)
        place = self._place(wanted.version)
        if os.path.islink(place) or not os.path.isdir(place):
            raise VolumeError(f"no such volume: {name}")
        return Volume(name, place)

    def all(self) -> list[Volume]:
        try:
            found = [entry.name for entry in os.scandir(self._versions) if entry.is_dir(follow_symlinks=False)]
        except FileNotFoundError:
            return []
        versions = sorted(filter(VERSION.fullmatch, found), key=lambda name: [int(part) for part in name.split(".")])
        return [Volume(str(Name(DRIVER, version)), self._place(version)) for version in versions]

    def mount(self, name: str, holder: str) -> Volume:
        """A container that starts: the volume cannot be removed until it has it mounted. Raises VolumeError."""
        wanted = parsed(name)
        with self._holding:
            found = self.find(name)
            now = time.monotonic()
            self._held = {key: since for key, since in self._held.items() if self._holds(now - since)}
            self._held[wanted.version, holder[:128]] = now
        return found

    def unmount(self, name: str, holder: str) -> None:
        """Whatever is named: Docker asks for it too after a daemon that it has forgotten. Raises VolumeError."""
        with self._holding:
            self._held.pop((parsed(name).version, holder[:128]), None)

    def remove(self, name: str) -> None:
        """Take a volume away; one that is not there is no error. Raises VolumeError for one that is in use."""
        version = parsed(name).version
        place = self._place(version)
        with self.changing():
            if not os.path.isdir(place):
                return
            doomed = f"{self._versions}/.{version}.{os.urandom(4).hex()}{_MARK}"
            with self._holding:
                if self.used_by(version):
                    raise VolumeError(f"cannot remove {name}: volume is in use", why=", ".join(self.used_by(version)))
                os.rename(place, doomed)
            if in_use(doomed):  # mounted at the last moment
                os.rename(doomed, place)
                raise VolumeError(f"cannot remove {name}: volume is in use")
            publish.sync_folder(self._versions)
            tree.discard(doomed)

    def used_by(self, version: str) -> list[str]:
        """Why this version cannot be removed; none when it can."""
        place, now = self._place(version), time.monotonic()
        starting = [id_ for (held, id_), since in self._held.items() if held == version and self._holds(now - since)]
        fixed = volume_record.leading_to(self.folder, place)
        return [*(["containers"] if in_use(place) else []), *(["a starting container"] if starting else []), *fixed]

    def _holds(self, seconds: float) -> bool:
        """Whether a container that began to start so long ago counts for itself: later its mount is seen."""
        return self._blind or seconds < STARTING

    def _sweep(self) -> None:
        """What was replaced or abandoned, unless a container still has it."""
        for name in () if self._blind else os.listdir(self._versions):
            path = f"{self._versions}/{name}"
            if name.startswith(".") and name.endswith(_MARK) and not in_use(path):
                tree.discard(path)
