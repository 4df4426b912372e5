"""What a selected device and a capability set change of a container. Shared by the CDI projection and the runtime,

so that for one request both give the same devices, mounts and environment.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from gpudock.plan.document import Gpu, Instance, Node, Variant

# NVIDIA's own runtime leaves a container with this value alone.
ENVIRONMENT = ("NVIDIA_VISIBLE_DEVICES=void",)

WORLD_READ_WRITE = 0o006


def nodes(device: "Gpu | Instance", variant: "Variant") -> "list[Node]":
    """The device nodes of one GPU or MIG device with one capability set, each path once, in a stable order."""
    chosen = [*variant["nodes"], *device["nodes"]]
    if variant["drm"]:
        chosen += device["drm"]
    return merged(chosen)


def merged(chosen: "Iterable[Node]") -> "list[Node]":
    """Each path once, sorted."""
    by_path = {node["path"]: node for node in chosen}
    return [by_path[path] for path in sorted(by_path)]


def groups(chosen: "Iterable[Node]") -> "list[int]":
    """Group ids (of the host) that a process without privileges needs to open nodes that are not open to the world."""
    return sorted(
        {node["gid"] for node in chosen if node["gid"] and node["mode"] & WORLD_READ_WRITE != WORLD_READ_WRITE}
    )
