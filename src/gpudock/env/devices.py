"""Devices beside GPUs: cameras, USB, a desktop's graphics, any node; and the groups whose members may open them."""

import os
import re
import stat
from collections.abc import Iterator
from typing import NamedTuple

from gpudock.env.recipe import CAMERA, USB
from gpudock.errors import HostError
from gpudock.plan.quote import quote

_CAMERA = re.compile(r"^video[0-9]+$")
_DRM = re.compile(r"^(card|renderD)[0-9]+$")
_USB_MAJOR = 189


class Devices(NamedTuple):
    flags: tuple[str, ...] = ()  # docker's
    groups: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()

    def __add__(self, other: object) -> "Devices":
        assert isinstance(other, Devices)
        groups = tuple(dict.fromkeys((*self.groups, *other.groups)))
        return Devices((*self.flags, *other.flags), groups, (*self.notes, *other.notes))


def find(wanted: tuple[str, ...], dev: str = "/dev") -> Devices:
    """Raises HostError for a path that is not there. That there is no camera is only said: a server often has none."""
    found = Devices()
    for each in wanted:
        if each == CAMERA:
            nodes = _nodes(dev, _CAMERA)
            note = () if nodes else (f"there is no camera on this machine: no {dev}/video*",)
            found += Devices(_flags(nodes), _groups(nodes), note)
        elif each == USB:
            found += _usb(f"{dev}/bus/usb")
        else:
            path = each.partition(":")[0]
            if not os.path.exists(path):
                raise HostError(
                    f"There is no device {quote(path)} on this machine.",
                    why="gpudock.yaml asks for it below devices",
                    mend="plug it in, or take it out of gpudock.yaml",
                )
            found += Devices(("--device", each), _groups([path]))
    return found


def graphics(dev: str = "/dev/dri") -> Devices:
    """A desktop's own graphics, of whatever vendor, for programs that draw."""
    nodes = _nodes(dev, _DRM)
    return Devices(_flags(nodes), _groups(nodes))


def _usb(folder: str) -> Devices:
    """The folder and not its nodes: what is plugged in later appears too."""
    if not os.path.isdir(folder):
        return Devices(notes=(f"there is no USB on this machine: no {folder}",))
    nodes = [f"{here}/{name}" for here, _, names in os.walk(folder) for name in names]
    rule = ("--device-cgroup-rule", f"c {_USB_MAJOR}:* rmw")
    return Devices(("-v", f"{folder}:/dev/bus/usb", *rule), _groups(nodes))


def _nodes(folder: str, wanted: re.Pattern[str]) -> list[str]:
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    return [f"{folder}/{name}" for name in names if wanted.match(name) and _is_device(f"{folder}/{name}")]


def _is_device(path: str) -> bool:
    try:
        return stat.S_ISCHR(os.stat(path).st_mode)
    except OSError:
        return False


def _flags(nodes: list[str]) -> tuple[str, ...]:
    return tuple(word for node in nodes for word in ("--device", node))


def _groups(nodes: list[str]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(_group_ids(nodes)))


def _group_ids(nodes: list[str]) -> Iterator[int]:
    """Of those nodes that a group may open and the others may not. Group 0 is given to nobody."""
    for node in nodes:
        try:
            found = os.stat(node)
        except OSError:
            continue
        if found.st_gid and found.st_mode & 0o060 and found.st_mode & 0o006 != 0o006:
            yield found.st_gid
