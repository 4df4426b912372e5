"""Says what is wrong with a CDI specification: its form, and whether it still fits the machine. Pure: facts come in."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from gpudock.cdi import schema

_VERSIONS = ("0.3.0", "0.4.0", "0.5.0", "0.6.0", "0.7.0", "0.8.0", "1.0.0", "1.1.0")
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*[A-Za-z0-9]/[A-Za-z](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?")
_DEVICE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.:-]*[A-Za-z0-9])?")
_DRIVER = r"(\d{3,}\.\d+(?:\.\d+)?)"
_VERSION_IN_PATH = re.compile(
    rf"\.so\.{_DRIVER}\Z|/{_DRIVER}-[0-9a-f]{{12}}(?:/|\Z)"
)  # a library; gpudock's driver tree
_EDITS = {"env", "deviceNodes", "mounts", "hooks", "additionalGids", "intelRdt", "netDevices"}
# Name of an edit -> its fields. Engines refuse the whole file for an unknown one.
_FIELDS: dict[str, dict[str, type]] = {
    "deviceNodes": {
        "path": str,
        "hostPath": str,
        "type": str,
        "major": int,
        "minor": int,
        "fileMode": int,
        "permissions": str,
        "uid": int,
        "gid": int,
    },
    "mounts": {"hostPath": str, "containerPath": str, "options": list, "type": str},
    "hooks": {"hookName": str, "path": str, "args": list, "env": list, "timeout": int},
}
_REQUIRED = {"deviceNodes": ("path",), "mounts": ("hostPath", "containerPath"), "hooks": ("hookName", "path")}
_WORDS = {str: "text", int: "number", list: "list"}


class Machine(NamedTuple):
    """What of the machine a specification is compared with."""

    exists: Callable[[str], bool]
    device: Callable[[str], tuple[int, int] | None]  # (major, minor) of a node; None when it is no device node
    readable: bool  # the engine's user may read the specification
    driver: str | None  # version of the loaded kernel module
    others: Mapping[str, str] = {}  # qualified device name -> path of another specification that also defines it


def problems(document: Mapping[str, Any], machine: Machine | None = None) -> list[str]:
    """One sentence for each problem, form first; empty when the specification is right."""
    found = list(_form(document)) or list(_too_old(document))
    if found or machine is None:
        return found
    return list(dict.fromkeys(_fit(document, machine)))


def _form(document: Mapping[str, Any]) -> Iterator[str]:
    unknown = sorted(set(document) - {"cdiVersion", "kind", "devices", "containerEdits", "annotations"}, key=str)
    if unknown:
        yield f"unknown field {unknown[0]!r}"
    if document.get("cdiVersion") not in _VERSIONS:
        yield f"cdiVersion {document.get('cdiVersion')!r} is not one of {', '.join(_VERSIONS)}"
    if not isinstance(document.get("kind"), str) or not _KIND.fullmatch(document["kind"]):
        yield f"kind {document.get('kind')!r} is not of the form vendor/class"
    devices = document.get("devices")
    if not isinstance(devices, list) or not devices:
        yield "it defines no device"
        return
    seen: set[str] = set()
    for index, device in enumerate(devices):
        name = device.get("name") if isinstance(device, dict) else None
        if not isinstance(name, str) or not _DEVICE.fullmatch(name):
            yield f"device {index} has no valid name: {name!r}"
            continue
        if name in seen:
            yield f"device {name} is defined twice"
        seen.add(name)
        for unknown in sorted(set(device) - {"name", "containerEdits", "annotations"}, key=str):
            yield f"device {name}: unknown field {unknown!r}"
        yield from _edits_form(device.get("containerEdits"), f"device {name}")
    if document.get("containerEdits") is not None:
        yield from _edits_form(document["containerEdits"], "containerEdits")


def _edits_form(edits: object, where: str) -> Iterator[str]:
    if not isinstance(edits, dict):
        yield f"{where}: containerEdits is missing or no mapping"
        return
    for unknown in sorted(set(edits) - _EDITS, key=str):
        yield f"{where}: unknown edit {unknown!r}"
    for name in _FIELDS:
        parts = edits.get(name) or []
        if not isinstance(parts, list):
            yield f"{where}: {name} is no list"
            continue
        for part in parts:
            yield from _part_form(part, name, where)
    yield from _environment_form(edits.get("env") or [], where)


def _part_form(part: object, name: str, where: str) -> Iterator[str]:
    if not isinstance(part, dict):
        yield f"{where}: an entry of {name} is no mapping"
        return
    for key in _REQUIRED[name]:
        if key not in part:
            yield f"{where}: an entry of {name} lacks {key}"
    for key, value in part.items():
        kind = _FIELDS[name].get(key)
        if kind is None:
            yield f"{where}: an entry of {name} has the unknown field {key!r}"
        elif not isinstance(value, kind):
            yield f"{where}: {key} of an entry of {name} is no {_WORDS[kind]}"
    if name == "hooks":
        yield from _environment_form(part.get("env") or [], where)


def _environment_form(variables: object, where: str) -> Iterator[str]:
    if not isinstance(variables, list):
        yield f"{where}: env is no list"
        return
    for variable in variables:
        if not isinstance(variable, str) or "=" not in variable[1:]:
            yield f"{where}: env entry {variable!r} is not NAME=value"


def _all_edits(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for device in document["devices"]:
        yield device["containerEdits"]
    yield document.get("containerEdits") or {}


def _too_old(document: Mapping[str, Any]) -> Iterator[str]:
    needed = schema.needed(document)
    if _VERSIONS.index(document["cdiVersion"]) < _VERSIONS.index(needed):
        yield f"it uses what cdiVersion {document['cdiVersion']} does not have: it needs {needed}"


def _fit(document: Mapping[str, Any], machine: Machine) -> Iterator[str]:
    if not machine.readable:
        yield "the engine's user cannot read it"
    for device in document["devices"]:
        other = machine.others.get(f"{document['kind']}={device['name']}")
        if other:
            yield f"device {device['name']} is also defined by {other}"
    for edits in _all_edits(document):
        for mount in edits.get("mounts") or []:
            yield from _path_fits(mount["hostPath"], machine)
        for hook in edits.get("hooks") or []:
            if not machine.exists(hook["path"]):
                yield f"hook {hook['path']} does not exist"
            if not hook.get("env"):
                yield f"hook {hook['path']} has no environment of its own: older runc gives it the image's"
        for node in edits.get("deviceNodes") or []:
            yield from _node_fits(node, machine)


def _path_fits(path: str, machine: Machine) -> Iterator[str]:
    if not machine.exists(path):
        yield f"{path} does not exist"
    version = _VERSION_IN_PATH.search(path)
    found = (version[1] or version[2]) if version else None
    if found and machine.driver and found != machine.driver:
        yield f"{path} is of driver {found}, loaded is {machine.driver}"


def _node_fits(node: Mapping[str, Any], machine: Machine) -> Iterator[str]:
    path = node.get("hostPath") or node["path"]
    real = machine.device(path)
    if real is None:
        yield f"{path} is no device node"
    elif "major" in node and (node["major"], node.get("minor", 0)) != real:
        yield f"{path} is {real[0]}:{real[1]}, the specification says {node['major']}:{node.get('minor', 0)}"
