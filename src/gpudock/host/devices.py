"""The device nodes that containers may need: NVIDIA's own and those of the devices it works with."""

import os
import re
import stat
from collections.abc import Iterable

from gpudock.facts.gpu import DeviceNode
from gpudock.host.root import Root

# Folder -> names in it. DRM nodes are chosen by the PCI function that they belong to.
NODES = {
    "/dev": re.compile(
        r"nvidia[0-9]+|nvidiactl|nvidia-uvm|nvidia-uvm-tools|nvidia-modeset"
        r"|nvidia-nvswitch(?:[0-9]+|ctl)|nvidia-nvlink[0-9]*|nvidia-fs[0-9]*|gdrdrv|dxg"
    ),
    "/dev/nvidia-caps": re.compile(r"nvidia-cap[0-9]+"),
    "/dev/nvidia-caps-imex-channels": re.compile(r"channel[0-9]+"),
    "/dev/infiniband": re.compile(r"uverbs[0-9]+|rdma_cm"),
}


def read(dev: Root, drm: Iterable[str]) -> tuple[DeviceNode, ...]:
    """Character devices below the /dev of `dev`, in natural order; `drm` names those of NVIDIA in /dev/dri."""
    paths = [f"/dev/dri/{name}" for name in drm]
    for folder, pattern in NODES.items():
        paths += [f"{folder}/{name}" for name in dev.names(folder) if pattern.fullmatch(name)]
    found = (_node(dev, path) for path in sorted(paths, key=_natural))
    return tuple(node for node in found if node)


def _node(dev: Root, path: str) -> DeviceNode | None:
    info = dev.lstat(path)
    if info is None or not stat.S_ISCHR(info.st_mode):
        return None
    return DeviceNode(
        path=path,
        host=dev.host(path),
        major=os.major(info.st_rdev),
        minor=os.minor(info.st_rdev),
        mode=stat.S_IMODE(info.st_mode),
        uid=info.st_uid,
        gid=info.st_gid,
    )


def _natural(path: str) -> list[tuple[int, str]]:
    """Sort key in which nvidia2 comes before nvidia10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path)]
