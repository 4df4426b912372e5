"""The wire format of CDI specifications, as far as gpudock writes it, and the version that each part needs.

Source: specs-go/config.go and version.go of the Container Device Interface, up to 1.0.0.
"""

from typing import NotRequired, TypedDict


class DeviceNode(TypedDict):
    path: str
    hostPath: NotRequired[str]  # absent when equal to path
    type: str
    major: int
    minor: int
    fileMode: int
    permissions: str
    uid: NotRequired[int]
    gid: NotRequired[int]


class Mount(TypedDict):
    hostPath: str
    containerPath: str
    options: list[str]


class Hook(TypedDict):
    hookName: str
    path: str
    args: list[str]
    env: list[str]
    timeout: NotRequired[int]


class ContainerEdits(TypedDict, total=False):
    env: list[str]
    deviceNodes: list[DeviceNode]
    mounts: list[Mount]
    hooks: list[Hook]
    additionalGids: list[int]


class Device(TypedDict):
    name: str
    containerEdits: ContainerEdits


class Spec(TypedDict):
    cdiVersion: str
    kind: str
    devices: list[Device]
    containerEdits: NotRequired[ContainerEdits]


OLDEST = "0.5.0"  # device names may begin with a digit, hostPath may differ from path
CLASS = "0.6.0"  # a class may hold a dot
GROUPS = "0.7.0"  # additionalGids


def version(spec: Spec) -> str:
    """The lowest version whose readers understand everything that this specification uses."""
    edits = [device["containerEdits"] for device in spec["devices"]]
    if any("additionalGids" in edit for edit in [*edits, spec.get("containerEdits", {})]):
        return GROUPS
    return CLASS if "." in spec["kind"].partition("/")[2] else OLDEST
