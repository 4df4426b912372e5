"""A compose file that is to be read from another folder: its relative paths become absolute. Pure."""

import re
from collections.abc import Callable, Mapping
from typing import Any

Absolute = Callable[[str], str]
_REMOTE = re.compile(r"[a-z+]+://|git@|github\.com/")


def relocated(value: Mapping[str, Any], absolute: Absolute, moved: Mapping[str, str], *, paths: bool) -> dict[str, Any]:
    """`moved`: where files that are extended or included are now. `paths`: all other relative paths, too."""
    new = dict(value)
    services = new.get("services")
    if isinstance(services, dict):
        new["services"] = {name: _service(body, absolute, moved, paths=paths) for name, body in services.items()}
    if isinstance(new.get("include"), list):
        new["include"] = [_include(entry, absolute, moved, paths=paths) for entry in new["include"]]
    for key in ("configs", "secrets"):
        if paths and isinstance(new.get(key), dict):
            new[key] = {name: _at(each, "file", absolute) for name, each in new[key].items()}
    return new


def _service(body: Mapping[str, Any], absolute: Absolute, moved: Mapping[str, str], *, paths: bool) -> dict[str, Any]:
    new = dict(body)
    extends = new.get("extends")
    if isinstance(extends, dict) and isinstance(extends.get("file"), str):
        path = absolute(extends["file"])
        if path in moved or paths:
            new["extends"] = {**extends, "file": moved.get(path, path)}
    if not paths:
        return new
    build = new.get("build")
    if isinstance(build, str):
        new["build"] = _path(build, absolute)
    elif isinstance(build, dict):
        new["build"] = _at(build, "context", absolute)
    if isinstance(new.get("volumes"), list):
        new["volumes"] = [_volume(each, absolute) for each in new["volumes"]]
    env_file = new.get("env_file")
    if isinstance(env_file, list):
        new["env_file"] = [
            _at(each, "path", absolute) if isinstance(each, dict) else _path(each, absolute) for each in env_file
        ]
    elif isinstance(env_file, str):
        new["env_file"] = _path(env_file, absolute)
    return new


def _include(entry: object, absolute: Absolute, moved: Mapping[str, str], *, paths: bool) -> object:
    """A file that has moved says where its paths are relative to."""
    mapping: dict[str, Any] = (
        {"path": entry} if isinstance(entry, str) else dict(entry) if isinstance(entry, dict) else {}
    )
    names = mapping.get("path")
    every = [names] if isinstance(names, str) else names if isinstance(names, list) else []
    found = [absolute(str(name)) for name in every]
    if not any(path in moved for path in found) and not paths:
        return entry
    folder = absolute(str(mapping.get("project_directory") or found[0].rpartition("/")[0]))
    return {**mapping, "path": [moved.get(path, path) for path in found], "project_directory": folder}


def _volume(entry: object, absolute: Absolute) -> object:
    if isinstance(entry, dict):
        return _at(entry, "source", absolute) if entry.get("type") == "bind" else entry
    host, colon, rest = str(entry).partition(":")
    if colon and host.startswith((".", "~")):
        return absolute(host) + colon + rest
    return entry


def _at(value: object, key: str, absolute: Absolute) -> object:
    if isinstance(value, dict) and isinstance(value.get(key), str):
        return {**value, key: _path(value[key], absolute)}
    return value


def _path(value: object, absolute: Absolute) -> object:
    if not isinstance(value, str) or value.startswith(("/", "$")) or _REMOTE.match(value):
        return value
    return absolute(value)
