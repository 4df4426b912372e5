"""Whether a device node still leads to its driver: one made before the driver was loaded again may lead to another."""

import re
from collections.abc import Iterable, Mapping

from gpudock.facts.gpu import DeviceNode

_MAIN = ("nvidia", "nvidia-frontend")  # the latter until branch 535
# Pattern of node paths -> the driver as /proc/devices spells it. Not InfiniBand: it has several numbers by one name.
_DRIVERS = (
    (re.compile(r"/dev/nvidia(?:\d+|ctl|-modeset)"), _MAIN),
    (re.compile(r"/dev/nvidia-uvm(?:-tools)?"), ("nvidia-uvm",)),
    (re.compile(r"/dev/nvidia-caps/.*"), ("nvidia-caps",)),
    (re.compile(r"/dev/nvidia-caps-imex-channels/.*"), ("nvidia-caps-imex-channels",)),
    (re.compile(r"/dev/nvidia-nvswitch.*"), ("nvidia-nvswitch",)),
    (re.compile(r"/dev/nvidia-fs\d*"), ("nvidia-fs",)),
    (re.compile(r"/dev/gdrdrv"), ("gdrdrv",)),
)


def is_stale(node: DeviceNode, majors: Mapping[str, int]) -> bool:
    """Whether the driver has another number now, or another driver has the node's. `majors` are the kernel's."""
    names = _names(node.path)
    current = {majors[name] for name in names if name in majors}
    if current:
        return node.major not in current
    return bool(names) and node.major in majors.values()  # the driver is not loaded (yet): its number may be taken


def used(paths: Iterable[str], majors: Mapping[str, int]) -> dict[str, int]:
    """The entries of `majors` that the nodes `paths` depend on."""
    names = {name for path in paths for name in _names(path)}
    return {name: major for name, major in majors.items() if name in names}


def _names(path: str) -> tuple[str, ...]:
    return next((names for pattern, names in _DRIVERS if pattern.fullmatch(path)), ())
