"""What a compose file becomes: requests for GPUs are taken out, and what the engine understands is put in. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import yaml

from gpudock.compat.compose import ask, document
from gpudock.compat.compose.ask import RUNTIMES, VOLUME, VOLUME_DRIVER, is_driver_volume, is_gpu, source
from gpudock.compat.compose.document import MERGE, Document, Tagged, sources
from gpudock.compat.compose.service import OWN
from gpudock.plan.request import VISIBLE_DEVICES

_MARKS = ("gpus", OWN, "enable_cuda")
_PATH = ("resources", "reservations", "devices")


class Gift(NamedTuple):
    """What a service gets."""

    devices: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    runtime: str = ""
    environment: tuple[tuple[str, str], ...] = ()
    reservation: tuple[tuple[str, Any], ...] = ()

    @property
    def volume_names(self) -> tuple[str, ...]:
        return tuple(volume.partition(":")[0] for volume in self.volumes)


def stripped(
    body: Mapping[str, Any], *, nodes: bool = True, volumes: bool = True, variable: bool = False
) -> dict[str, Any]:
    """Without requests for GPUs. `nodes`, `volumes`: also without the driver's device nodes and volumes; `variable`:
    without NVIDIA_VISIBLE_DEVICES, which was for a runtime that goes.
    """
    new = {key: value for key, value in body.items() if key not in _MARKS}
    if new.get("runtime") in RUNTIMES or (variable and "${" in str(new.get("runtime", ""))):
        del new["runtime"]
        variable = True
    if new.get("volume_driver") == VOLUME_DRIVER:
        del new["volume_driver"]
    if "deploy" in new:
        _put(new, "deploy", _unreserved(new["deploy"], _PATH))
    if isinstance(new.get("devices"), list):
        _put(new, "devices", [each for each in new["devices"] if not _driver_device(source(each), nodes=nodes)])
    if volumes and isinstance(new.get("volumes"), list):
        _put(new, "volumes", [each for each in new["volumes"] if not is_driver_volume(each)])
    if variable and "environment" in new:
        _put(new, "environment", _without(new["environment"], {VISIBLE_DEVICES}))
    return new


def _put(body: dict[str, Any], key: str, value: object) -> None:
    """Nothing is left of what has become empty."""
    if value in ({}, []) and body[key] != value:
        del body[key]
    else:
        body[key] = value


def _driver_device(name: str, *, nodes: bool) -> bool:
    return name.startswith("nvidia.com/gpu=") or (nodes and bool(ask.NODE.match(name) or ask.CONTROL.match(name)))


def _unreserved(value: object, path: tuple[str, ...]) -> Any:  # noqa: ANN401  YAML
    if not path:
        return [entry for entry in value if not is_gpu(entry)] if isinstance(value, list) else value
    if not isinstance(value, dict) or path[0] not in value:
        return value
    new = dict(value)
    _put(new, path[0], _unreserved(value[path[0]], path[1:]))
    return new


def _without(environment: object, names: set[str]) -> Any:  # noqa: ANN401  YAML
    if isinstance(environment, dict):
        return {name: value for name, value in environment.items() if name not in names}
    if isinstance(environment, list):
        return [entry for entry in environment if str(entry).partition("=")[0] not in names]
    return environment


def given(body: Mapping[str, Any], gift: Gift) -> dict[str, Any]:
    """With what the service gets."""
    new = dict(body)
    for key, more in (("devices", gift.devices), ("volumes", gift.volumes)):
        old = _inner(new.get(key)) or []
        missing = [each for each in more if each not in old]
        if missing:
            new[key] = _like(new.get(key), [*old, *missing])
    if gift.runtime:
        new["runtime"] = gift.runtime
    if gift.environment:
        old = _without(_inner(new.get("environment")) or {}, {name for name, _ in gift.environment})
        if isinstance(old, list):
            value: object = [*old, *(f"{name}={value}" for name, value in gift.environment)]
        else:
            value = {**old, **dict(gift.environment)}
        new["environment"] = _like(new.get("environment"), value)
    if gift.reservation:
        new["deploy"] = _like(new.get("deploy"), _reserved(_inner(new.get("deploy")), _PATH, dict(gift.reservation)))
    return new


def _reserved(value: object, path: tuple[str, ...], entry: dict[str, Any]) -> Any:  # noqa: ANN401  YAML
    if not path:
        return [*(value if isinstance(value, list) else []), entry]
    old = value if isinstance(value, dict) else {}
    return {**old, path[0]: _reserved(old.get(path[0]), path[1:], entry)}


def _inner(value: object) -> Any:  # noqa: ANN401  YAML
    return value.value if isinstance(value, Tagged) else value


def _like(old: object, value: object) -> object:
    """Under the same tag: an !override stays one, and what was !reset is set again."""
    return Tagged("!override", value) if isinstance(old, Tagged) else value


def volumes(value: Mapping[str, Any], bodies: Iterable[Mapping[str, Any]], names: Iterable[str]) -> dict[str, Any]:
    """The file with the top-level volumes that its services use: those `names` added, driver volumes of old gone."""
    used = {str(each).partition(":")[0] for body in bodies for each in body.get("volumes") or ()}
    old = value.get("volumes") or {}
    new = {name: each for name, each in old.items() if not VOLUME.match(str(name)) or name in used}
    new |= {name: {"external": True} for name in names}
    if new == old:
        return dict(value)
    if new:
        return {**value, "volumes": new}
    return {key: each for key, each in value.items() if key != "volumes"}


def without_fragments(found: Document) -> dict[str, Any]:
    """The file, with requests for GPUs taken out of the `x-` mappings that services merge."""
    merged = {id(node) for node in _merged(found)}
    new = dict(found.value)
    for key, node in document.pairs(found.root):
        if not str(key.value).startswith("x-") or not isinstance(node, yaml.MappingNode):
            continue
        if id(node) in merged:
            new[key.value] = stripped(new[key.value])
        else:
            inner = {child.value for child, value in node.value if id(value) in merged}
            new[key.value] = {name: stripped(each) if name in inner else each for name, each in new[key.value].items()}
    return new


def _merged(found: Document) -> list[yaml.Node]:
    services = next((node for key, node in document.pairs(found.root) if key.value == "services"), None)
    bodies = [node for _, node in document.pairs(services)]
    waiting = [
        each for body in bodies for key, value in document.pairs(body) if key.tag == MERGE for each in sources(value)
    ]
    nodes: dict[int, yaml.Node] = {}
    while waiting:
        node = waiting.pop()
        if id(node) not in nodes:
            nodes[id(node)] = node
            waiting += [each for key, value in document.pairs(node) if key.tag == MERGE for each in sources(value)]
    return list(nodes.values())
