"""Specifications on disk: the only part of this room that does I/O."""

import os
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from gpudock.cdi import codec
from gpudock.errors import GpudockError, InputError
from gpudock.publish import read_capped

if TYPE_CHECKING:
    from gpudock.cdi.validate import Machine

FOLDERS = ("/etc/cdi", "/var/run/cdi")  # a device in the later one wins over one in the earlier
LIMIT = 8 << 20  # bytes


class SpecFile(NamedTuple):
    path: str
    document: dict[str, Any]  # empty when it cannot be read
    error: str | None = None

    @property
    def kind(self) -> str:
        return str(self.document.get("kind", "?"))

    def devices(self) -> list[str]:
        """Names of the devices, as far as they have one."""
        devices = self.document.get("devices")
        entries = devices if isinstance(devices, list) else []
        return [str(entry["name"]) for entry in entries if isinstance(entry, dict) and "name" in entry]


def load(path: str) -> dict[str, Any]:
    """The specification in a file. Raises InputError naming the file."""
    try:
        return codec.decode(read_capped(path, LIMIT), path)
    except OSError as error:
        raise InputError(f"{path} cannot be read.", why=error.strerror or str(error)) from error


def found(folders: tuple[str, ...] = FOLDERS) -> Iterator[SpecFile]:
    """Every specification in the folders; a broken one carries its error."""
    for folder in folders:
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            continue
        for name in names:
            if name.endswith((".json", ".yaml")) and not name.startswith("."):
                path = f"{folder}/{name}"
                try:
                    yield SpecFile(path, load(path))
                except GpudockError as error:
                    yield SpecFile(path, {}, error.why or error.what)


def machine(path: str, *, driver: str | None, folders: tuple[str, ...] = FOLDERS) -> "Machine":
    """What `validate.problems` wants to know of this machine for the specification at `path`."""
    from gpudock.cdi.validate import Machine  # noqa: PLC0415  start-up time: `gpudock run` only loads

    own = os.path.realpath(path)
    others = {
        f"{spec.kind}={name}": spec.path
        for spec in found(folders)
        if os.path.realpath(spec.path) != own
        for name in spec.devices()
    }
    readable = os.path.exists(path) and bool(os.stat(path).st_mode & stat.S_IROTH)
    return Machine(exists=os.path.exists, device=_device, readable=readable, driver=driver, others=others)


def _device(path: str) -> tuple[int, int] | None:
    try:
        info = os.stat(path)
    except (OSError, ValueError):  # ValueError: a NUL character in the path
        return None
    if not stat.S_ISCHR(info.st_mode):
        return None
    return os.major(info.st_rdev), os.minor(info.st_rdev)
