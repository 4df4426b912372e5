"""Names of driver volumes: nvidia_driver_VERSION, and nothing that could lead elsewhere as a path."""

import re
from typing import NamedTuple

from gpudock.errors import RefusedError

DRIVER = "nvidia_driver"
VERSION = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9}){0,3}")
_NAME = re.compile(r"([a-zA-Z0-9_.-]{1,64})_([0-9.]{1,40})")


class VolumeError(RefusedError):
    """`what` is the text that a Docker client is shown, as nvidia-docker 1 wrote it."""


class Name(NamedTuple):
    base: str
    version: str

    def __str__(self) -> str:
        return f"{self.base}_{self.version}"


def parsed(name: str) -> Name:
    """Raises VolumeError. nvidia-docker 1 took `nvidia_driver_..` for a version, and removed all volumes with it."""
    found = _NAME.fullmatch(name)
    if not found or not VERSION.fullmatch(found[2]):
        raise VolumeError(f"bad volume format: {name[:256]}", mend=f"name it {DRIVER}_ and the driver's version")
    if found[1] != DRIVER:
        raise VolumeError(f"unsupported volume: {name}", mend=f"there is only {DRIVER}_VERSION")
    return Name(found[1], found[2])
