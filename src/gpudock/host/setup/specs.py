"""CDI specifications held against the machine: what they name, and whether it is there. Whoever wrote them."""

import os
import re
import stat
from collections.abc import Iterable, Iterator
from typing import Any

from gpudock.facts.setup import SpecState
from gpudock.host.cdi_specs import LIMIT, document
from gpudock.host.plain import one_line
from gpudock.host.root import Root

SHOWN = 20  # of each list
_DRIVER = re.compile(r"\.so\.(\d{3,}\.\d+(?:\.\d+)?)\Z|/(\d{3,}\.\d+(?:\.\d+)?)-[0-9a-f]{12}(?:/|\Z)")
_HOOKS = ("chmod", "create-symlinks", "update-ldcache", "enable-cuda-compat", "disable-device-node-modification")
_32_BIT = ("/i386-linux-gnu", "/lib32", "/usr/lib/libnvidia")


def state(machine: Root, path: str, kind: str) -> SpecState | None:
    """None for one that cannot be read, or is of other devices than GPUs: `cdi_specs` tells of those."""
    seen = machine.stat(path)
    try:
        spec = document(machine.read(path, LIMIT + 1))
    except (OSError, ValueError):
        return None
    if seen is None or not isinstance(spec, dict) or spec.get("kind") != kind:
        return None
    edits = list(_edits(spec))
    nodes = [node for each in edits for node in _list(each, "deviceNodes")]
    mounts = [mount for each in edits for mount in _list(each, "mounts")]
    hooks = [hook for each in edits for hook in _list(each, "hooks")]
    named = {_text(node, "hostPath") or _text(node, "path"): node for node in nodes}
    sources = {_text(mount, "hostPath") for mount in mounts} | {_text(hook, "path") for hook in hooks}
    targets = {_text(mount, "containerPath") for mount in mounts}
    arguments = {one_line(word) for hook in hooks for word in _list(hook, "args", str)}
    return SpecState(
        path=one_line(path),
        mode=stat.S_IMODE(seen.st_mode),
        devices=len(_list(spec, "devices")),
        nodes=_some(named),
        wrong_nodes=_some(wrong for host, node in named.items() if (wrong := _wrong(machine, host, node))),
        missing=_some(each for each in sources if each and not machine.stat(each)),
        drivers=_some(match[1] or match[2] for each in sources if (match := _DRIVER.search(each))),
        hooks=tuple(name for name in _HOOKS if name in arguments),
        folders=_some(os.path.dirname(each) for each in targets if ".so" in os.path.basename(each)),
        has_32_bit=any(each.startswith(_32_BIT) or "/i386-" in each or "/lib32/" in each for each in targets),
        sockets=_some(each for each in targets if each.endswith("/socket") or "persistenced" in each),
    )


def _edits(spec: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for part in (spec, *_list(spec, "devices")):
        edits = part.get("containerEdits")
        if isinstance(edits, dict):
            yield edits


def _list(part: dict[str, Any], name: str, kind: type = dict) -> list[Any]:
    value = part.get(name)
    return [each for each in value if isinstance(each, kind)] if isinstance(value, list) else []


def _text(part: dict[str, Any], name: str) -> str:
    value = part.get(name)
    return value if isinstance(value, str) else ""


def _wrong(machine: Root, path: str, node: dict[str, Any]) -> str | None:
    seen = machine.stat(path)
    if seen is None or not stat.S_ISCHR(seen.st_mode):
        return f"{path} is no device node"
    major, minor = node.get("major"), node.get("minor", 0)
    real = os.major(seen.st_rdev), os.minor(seen.st_rdev)
    if isinstance(major, int) and (major, minor) != real:
        return f"{path} is {real[0]}:{real[1]}, the specification says {major}:{minor}"
    return None


def _some(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({one_line(value) for value in values if value}))[:SHOWN]
