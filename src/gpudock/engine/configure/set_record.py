"""What gpudock has set in daemon.json, and what stood there before: kept beside the file, for --undo. Pure."""

import json
from collections.abc import Mapping
from typing import Any

from gpudock.engine.configure import docker_settings, json_text
from gpudock.engine.configure.daemon_json import Document
from gpudock.errors import InputError

NAME = ".set-by-gpudock"  # behind the path of daemon.json
SET, BEFORE = "set", "before"


def read(data: bytes | None, where: str) -> dict[str, dict[str, Any]]:
    """Raises InputError for a file that gpudock did not write."""
    found = json_text.parse(json_text.text_of(data or b"", where), where)
    if not all(key in docker_settings.KEYS and isinstance(each, dict) and SET in each for key, each in found.items()):
        raise InputError(f"{where} is not as gpudock wrote it.", mend="remove it, and take back its settings by hand")
    return found


def noted(known: Mapping[str, dict[str, Any]], now: Document, after: Document) -> bytes:
    """The record's new text: of a key that was set twice, what stood there before the first time."""
    found = dict(known)
    for key in docker_settings.changed(now.value, after.value):
        there = now.value.get(key)
        first = found.get(key)
        if first is not None and first[SET] == there:
            found[key] = {**first, SET: after.value[key]}
        else:
            found[key] = {SET: after.value[key], **({BEFORE: there} if there is not None else {})}
    return (json.dumps(found, indent=2) + "\n").encode() if found else b""


def restored(now: Document, known: Mapping[str, dict[str, Any]]) -> tuple[Document, tuple[str, ...]]:
    """The file without them; and the keys that were changed since and are left as they are."""
    left = tuple(key for key, each in known.items() if key in now.value and now.value[key] != each[SET])
    for key, each in known.items():
        if key in left or key not in now.value:
            continue
        now = now.put(key, value=each[BEFORE]) if BEFORE in each else now.drop(key)
    return now, left
