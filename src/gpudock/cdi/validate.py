"""Says what is wrong with a CDI specification: its form, and whether it still fits the machine. Pure: facts come in."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

_VERSIONS = ("0.3.0", "0.4.0", "0.5.0", "0.6.0", "0.7.0", "0.8.0", "1.0.0", "1.1.0")
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*[A-Za-z0-9]/[A-Za-z](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?$")
_DEVICE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.:-]*[A-Za-z0-9])?$")
_VERSION_IN_PATH = re.compile(r"\.so\.(\d{3,}\.\d+(?:\.\d+)?)$")
_EDITS = {"env", "deviceNodes", "mounts", "hooks", "additionalGids", "intelRdt", "netDevices"}
_REQUIRED = {"deviceNodes": ("path",), "mounts": ("hostPath", "containerPath"), "hooks": ("hookName", "path")}


class Machine(NamedTuple):
    """What of the machine a specification is compared with."""

    exists: Callable[[str], bool]
    device: Callable[[str], tuple[int, int] | None]  # (major, minor) of a node; None when it is no device node
    readable: bool  # the engine's user may read the specification
    driver: str | None  # version of the loaded kernel module
    others: Mapping[str, str] = {}  # qualified device name -> path of another specification that also defines it


def problems(document: Mapping[str, Any], machine: Machine | None = None) -> list[str]:
    """One sentence for each problem, form first; empty when the specification is right."""
    found = list(_form(document))
    if found or machine is None:
        return found
    return list(dict.fromkeys(_fit(document, machine)))


def _form(document: Mapping[str, Any]) -> Iterator[str]:
    unknown = sorted(set(document) - {"cdiVersion", "kind", "devices", "containerEdits", "annotations"}, key=str)
    if unknown:
        yield f"unknown field {unknown[0]!r}"
    if document.get("cdiVersion") not in _VERSIONS:
        yield f"cdiVersion {document.get('cdiVersion')!r} is not one of {', '.join(_VERSIONS)}"
    if not isinstance(document.get("kind"), str) or not _KIND.match(document["kind"]):
        yield f"kind {document.get('kind')!r} is not of the form vendor/class"
    devices = document.get("devices")
    if not isinstance(devices, list) or not devices:
        yield "it defines no device"
        return
    seen: set[str] = set()
    for index, device in enumerate(devices):
        name = device.get("name") if isinstance(device, dict) else None
        if not isinstance(name, str) or not _DEVICE.match(name):
            yield f"device {index} has no valid name: {name!r}"
            continue
        if name in seen:
            yield f"device {name} is defined twice"
        seen.add(name)
        yield from _edits_form(device.get("containerEdits"), f"device {name}")
    if "containerEdits" in document:
        yield from _edits_form(document["containerEdits"], "containerEdits")


def _edits_form(edits: object, where: str) -> Iterator[str]:
    if not isinstance(edits, dict):
        yield f"{where}: containerEdits is missing or no mapping"
        return
    for unknown in sorted(set(edits) - _EDITS, key=str):
        yield f"{where}: unknown edit {unknown!r}"
    for name, required in _REQUIRED.items():
        parts = edits.get(name, [])
        if not isinstance(parts, list):
            yield f"{where}: {name} is no list"
            continue
        for part in parts:
            missing = [key for key in required if not isinstance(part, dict) or not isinstance(part.get(key), str)]
            if missing:
                yield f"{where}: an entry of {name} lacks {missing[0]}"
    for variable in edits.get("env") or []:
        if not isinstance(variable, str) or "=" not in variable:
            yield f"{where}: env entry {variable!r} is not NAME=value"


def _all_edits(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for device in document["devices"]:
        yield device["containerEdits"]
    yield document.get("containerEdits", {})


def _fit(document: Mapping[str, Any], machine: Machine) -> Iterator[str]:
    if not machine.readable:
        yield "the engine's user cannot read it"
    for device in document["devices"]:
        other = machine.others.get(f"{document['kind']}={device['name']}")
        if other:
            yield f"device {device['name']} is also defined by {other}"
    for edits in _all_edits(document):
        for mount in edits.get("mounts", []):
            yield from _path_fits(mount["hostPath"], machine)
        for hook in edits.get("hooks", []):
            if not machine.exists(hook["path"]):
                yield f"hook {hook['path']} does not exist"
            if not hook.get("env"):
                yield f"hook {hook['path']} has no environment of its own: older runc gives it the image's"
        for node in edits.get("deviceNodes", []):
            yield from _node_fits(node, machine)


def _path_fits(path: str, machine: Machine) -> Iterator[str]:
    if not machine.exists(path):
        yield f"{path} does not exist"
    version = _VERSION_IN_PATH.search(path)
    if version and machine.driver and version[1] != machine.driver:
        yield f"{path} is of driver {version[1]}, loaded is {machine.driver}"


def _node_fits(node: Mapping[str, Any], machine: Machine) -> Iterator[str]:
    path = node.get("hostPath") or node["path"]
    real = machine.device(path)
    if real is None:
        yield f"{path} is no device node"
    elif "major" in node and (node["major"], node.get("minor", 0)) != real:
        yield f"{path} is {real[0]}:{real[1]}, the specification says {node['major']}:{node.get('minor', 0)}"
