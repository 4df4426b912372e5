"""What a container may be given beside GPUs: IMEX channels, storage and network paths, NVSwitch, MIG management."""

import fnmatch

from gpudock.facts.driver import Socket
from gpudock.facts.gpu import Capability, DeviceNode
from gpudock.plan.document import Extra, Mount, Node

OPTIONS = ["nosuid", "nodev", "rbind", "rprivate", "noexec"]

# name -> patterns of node paths
PATTERNS = {
    "gds": ("/dev/nvidia-fs*",),
    "mofed": ("/dev/infiniband/uverbs*", "/dev/infiniband/rdma_cm"),
    "gdrcopy": ("/dev/gdrdrv",),
    "nvswitch": ("/dev/nvidia-nvswitchctl", "/dev/nvidia-nvswitch[0-9]*"),
}
_IMEX = "/dev/nvidia-caps-imex-channels/channel"
_CAP = "/dev/nvidia-caps/nvidia-cap"
_MANAGED = ("/dev/nvidia[0-9]*", "/dev/nvidiactl", "/dev/nvidia-uvm*", "/dev/nvidia-modeset", _CAP + "*", _IMEX + "*")


def node(fact: DeviceNode) -> Node:
    return Node(
        path=fact.path,
        host=fact.host,
        major=fact.major,
        minor=fact.minor,
        mode=fact.mode,
        uid=fact.uid,
        gid=fact.gid,
    )


def capability_node(nodes: dict[str, DeviceNode], minor: int) -> Node | None:
    fact = nodes.get(f"{_CAP}{minor}")
    return node(fact) if fact else None


def extras(
    nodes: dict[str, DeviceNode], capabilities: tuple[Capability, ...], live: tuple[Socket, ...]
) -> dict[str, Extra]:
    """By name; a name whose nodes do not exist is absent."""
    found: dict[str, Extra] = {}
    for name, patterns in PATTERNS.items():
        matching = _matching(nodes, patterns)
        if matching:
            found[name] = Extra(nodes={"all": matching}, mounts=_gds_mounts(live) if name == "gds" else [])
    numbered = {path.removeprefix(_IMEX): fact for path, fact in nodes.items() if path.startswith(_IMEX)}
    channels = {name: node(fact) for name, fact in numbered.items() if name.isascii() and name.isdecimal()}
    if channels:
        in_order = sorted(channels, key=int)
        found["imex"] = Extra(
            nodes={**{name: [channels[name]] for name in in_order}, "all": [channels[name] for name in in_order]},
            mounts=[],
        )
    for capability in capabilities:
        if capability.name in {"config", "monitor"}:
            right = capability_node(nodes, capability.minor)
            if right:
                found["mig-" + capability.name] = Extra(nodes={"all": [right]}, mounts=[])
    managed = _matching(nodes, _MANAGED)
    if managed:
        found["management"] = Extra(nodes={"all": managed}, mounts=[])
    return found


def _matching(nodes: dict[str, DeviceNode], patterns: tuple[str, ...]) -> list[Node]:
    return [
        node(nodes[path]) for path in sorted(nodes) if any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)
    ]


def _gds_mounts(live: tuple[Socket, ...]) -> list[Mount]:
    return [
        Mount(host=path.host, container=path.path, options=["ro", *OPTIONS])
        for path in live
        if path.path in {"/run/udev", "/etc/cufile.json"}
    ]
