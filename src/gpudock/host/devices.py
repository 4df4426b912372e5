"""The device nodes that containers may need: NVIDIA's own and those of the devices it works with."""

import os
import re
import stat
from collections.abc import Collection, Iterator

from gpudock.facts.gpu import DeviceNode
from gpudock.host.root import Root

# Folder below /dev -> names in it. DRM nodes are chosen by the PCI function that they belong to.
NODES = {
    "": re.compile(
        r"nvidia[0-9]+|nvidiactl|nvidia-uvm|nvidia-uvm-tools|nvidia-modeset"
        r"|nvidia-nvswitch(?:[0-9]+|ctl)|nvidia-nvlink[0-9]*|nvidia-fs[0-9]*|gdrdrv|dxg"
    ),
    "nvidia-caps": re.compile(r"nvidia-cap[0-9]+"),
    "nvidia-caps-imex-channels": re.compile(r"channel[0-9]+"),
    "infiniband": re.compile(r"uverbs[0-9]+|rdma_cm"),
}


def read(dev: Root, drm: Collection[str]) -> tuple[DeviceNode, ...]:
    """Character devices below the /dev of `dev`, in natural order; `drm` names those of NVIDIA in /dev/dri."""
    found: list[DeviceNode] = []
    for folder, pattern in NODES.items():
        found += _nodes(dev, os.path.join("/dev", folder), [n for n in _names(dev, folder) if pattern.fullmatch(n)])
    found += _nodes(dev, "/dev/dri", drm)
    return tuple(sorted(found, key=lambda node: _natural(node.path)))


def _names(dev: Root, folder: str) -> list[str]:
    return dev.names(os.path.join("/dev", folder))


def _nodes(dev: Root, folder: str, names: Collection[str]) -> Iterator[DeviceNode]:
    place = dev.resolve(folder) if names else None
    if place is None:
        return
    for name in names:
        host = dev.host(f"{place}/{name}")
        try:
            info = os.lstat(host)
        except OSError:
            continue
        if stat.S_ISCHR(info.st_mode):
            yield DeviceNode(
                path=f"{folder.rstrip('/')}/{name}",
                host=host,
                major=os.major(info.st_rdev),
                minor=os.minor(info.st_rdev),
                mode=stat.S_IMODE(info.st_mode),
                uid=info.st_uid,
                gid=info.st_gid,
            )


def _natural(path: str) -> list[tuple[int, str]]:
    """Sort key in which nvidia2 comes before nvidia10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path)]
