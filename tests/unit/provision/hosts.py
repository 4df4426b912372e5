"""Fixture hosts as data: the recorded H200 machine, made whole, and a few values changed.

A change is "path": value. Path: names and [selector]s, joined by dots; a selector is the element of a list whose name,
path, address, index or code is that. The value null takes the element away.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpudock.host import codec

if TYPE_CHECKING:
    from gpudock.facts.snapshot import Snapshot

DATA = Path(__file__).parents[2] / "data"
HOSTS = DATA / "hosts"
CHECKS = HOSTS / "checks"
_STEP = re.compile(r"\[([^\]]*)\]|([^.\[\]]+)")


def document(changes: dict[str, Any]) -> dict[str, Any]:
    """The healthy host with these changes, as JSON."""
    host: dict[str, Any] = json.loads((DATA / "h200/snapshot.json").read_text())
    for change in (json.loads((HOSTS / "healthy.json").read_text()), changes):
        for path, value in change.items():
            _put(host, path, value)
    return host


def host(changes: dict[str, Any] | None = None) -> Snapshot:
    """The same as a snapshot, read as a stranger's is."""
    return codec.decode(json.dumps(document(changes or {})).encode())


def _put(place: Any, path: str, value: Any) -> None:
    steps = [match[1] if match[2] is None else match[2] for match in _STEP.finditer(path)]
    for step in steps[:-1]:
        place = place[_key(place, step)] if isinstance(place, list) else place.setdefault(step, {})
    last = _key(place, steps[-1]) if isinstance(place, list) else steps[-1]
    if value is None:
        del place[last]
    elif isinstance(place, list) and last == len(place):
        place.append(value)
    else:
        place[last] = value


def _key(place: list[Any], step: str) -> int:
    if step == "+":
        return len(place)
    for index, each in enumerate(place):
        if step in {str(each.get(name)) for name in ("name", "path", "address", "code", "index")}:
            return index
    raise KeyError(step)


def cases() -> dict[str, dict[str, Any]]:
    """By check: {"source", "wrong": [{"set", "evidence"}], "healthy": [{"set"}]}."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(CHECKS.glob("*.json"))}
