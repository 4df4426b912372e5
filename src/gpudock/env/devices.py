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
    by_group: tuple[str, ...] = ()  # nodes that one of the groups may open and others may not

    def __add__(self, other: object) -> "Devices":
        assert isinstance(other, Devices)
        groups = tuple(dict.fromkeys((*self.groups, *other.groups)))
        by_group = (*self.by_group, *other.by_group)
        return Devices((*self.flags, *other.flags), groups, (*self.notes, *other.notes), by_group)


def find(wanted: tuple[str, ...], dev: str = "/dev") -> Devices:
    """Raises HostError for a path that is not there. That there is no camera is only said: a server often has none."""
    found = Devices()
    for each in wanted:
        if each == CAMERA:
            nodes = _nodes(dev, _CAMERA)
            note = () if nodes else (f"there is no camera on this machine: no {dev}/video*",)
            found += _devices(_flags(nodes), nodes, note)
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
            found += _devices(("--device", each), [path])
    return found


def without_root(found: Devices) -> Devices:
    """For an engine without root: it sets no rules for devices, and its containers have no group of the machine."""
    flags = list(found.flags)
    while "--device-cgroup-rule" in flags:
        at = flags.index("--device-cgroup-rule")
        del flags[at : at + 2]
    shut = [path for path in found.by_group if not _has_list(path)]
    note = f"{', '.join(shut)}: open to a group only, which an engine without root cannot give"
    mend = f"; give yourself access: sudo setfacl -m u:$USER:rw {' '.join(shut)}"
    return found._replace(flags=tuple(flags), groups=(), notes=(*found.notes, *([note + mend] if shut else ())))


def _has_list(path: str) -> bool:
    """Whether persons are named who may open it, as desktops do for who sits at them."""
    try:
        return bool(os.getxattr(path, "system.posix_acl_access"))
    except OSError:
        return False


def graphics(dev: str = "/dev/dri") -> Devices:
    """A desktop's own graphics, of whatever vendor, for programs that draw."""
    nodes = _nodes(dev, _DRM)
    return _devices(_flags(nodes), nodes)


def _usb(folder: str) -> Devices:
    """The folder and not its nodes: what is plugged in later appears too."""
    if not os.path.isdir(folder):
        return Devices(notes=(f"there is no USB on this machine: no {folder}",))
    nodes = [f"{here}/{name}" for here, _, names in os.walk(folder) for name in names]
    rule = ("--device-cgroup-rule", f"c {_USB_MAJOR}:* rmw")
    return _devices(("-v", f"{folder}:/dev/bus/usb", *rule), nodes)


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


def _devices(flags: tuple[str, ...], nodes: list[str], notes: tuple[str, ...] = ()) -> Devices:
    found = dict(_group_ids(nodes))
    return Devices(flags, tuple(dict.fromkeys(found.values())), notes, tuple(found))


def _group_ids(nodes: list[str]) -> Iterator[tuple[str, int]]:
    """Group 0 is given to nobody."""
    for node in nodes:
        try:
            found = os.stat(node)
        except OSError:
            continue
        if found.st_gid and found.st_mode & 0o060 and found.st_mode & 0o006 != 0o006:
            yield node, found.st_gid
