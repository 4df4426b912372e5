"""The wire format of CDI specifications, as far as gpudock writes it, and the version that each part needs.

Source: specs-go/config.go and version.go of the Container Device Interface, up to 1.0.0.
"""

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict


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


OLDEST = "0.5.0"  # what every reader in the field knows: nothing older is written


def version(spec: Spec) -> str:
    """The version to write: the lowest whose readers understand everything that this specification uses."""
    return max(OLDEST, needed(spec))


def needed(spec: Mapping[str, Any]) -> str:
    """The version that introduced the newest thing in a well-formed specification; its readers check that."""
    edits = [*(device["containerEdits"] for device in spec["devices"]), spec.get("containerEdits") or {}]
    if any(not {"additionalGids", "intelRdt"}.isdisjoint(edit) for edit in edits):
        return "0.7.0"
    annotated = any(part.get("annotations") for part in (spec, *spec["devices"]))
    if annotated or "." in spec["kind"].partition("/")[2]:
        return "0.6.0"
    host_paths = any("hostPath" in node for edit in edits for node in edit.get("deviceNodes") or [])
    if host_paths or not all(device["name"][0].isalpha() for device in spec["devices"]):
        return "0.5.0"
    return "0.3.0"
