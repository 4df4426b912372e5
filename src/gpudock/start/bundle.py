"""Finds the container's root file system from what the OCI runtime hands to a hook. The pid in it is never used: it is
1 or 0, the container's own view.
"""

from gpudock.errors import InputError
from gpudock.start import parse, paths, reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

STATE_LIMIT = 1 << 20  # bytes
_CONFIG_LIMIT = 16 << 20


def rootfs_path(state: bytes) -> str:
    """Where the rootfs is, from the state JSON: crun says it there, runc only in the bundle. Raises InputError."""
    if len(state) > STATE_LIMIT:
        raise InputError("The container's state is too long.", why=f"more than {STATE_LIMIT >> 20} MiB came in")
    value = parse.json(state, "The container's state")
    bundle = _path(value, "bundle", "the container's state")
    if not bundle.startswith("/"):
        raise InputError("The container's state names no absolute bundle folder.", why=f"bundle is {bundle!r:.200}")
    if "root" in value:
        return paths.join(bundle, _path(value, "root", "the container's state"))
    file = f"{bundle}/config.json"
    config = parse.json(_read(file), file[-200:])
    return paths.join(bundle, _path(config.get("root") if isinstance(config, dict) else None, "path", "config.json"))


def _path(value: "Any", name: str, where: str) -> str:  # noqa: ANN401  a part of a JSON text
    found = value.get(name) if isinstance(value, dict) else None
    if not isinstance(found, str) or not found or not _is_possible(found):
        raise InputError(f"{where[0].upper()}{where[1:]} is not usable.", why=f"{name} should be a path")
    return found


def _is_possible(path: str) -> bool:
    try:
        return "\0" not in path and len(paths.encoded(path)) < 4096
    except UnicodeEncodeError:  # half of a surrogate pair
        return False


def _read(path: str) -> bytes:
    try:
        data = reading.file(path, _CONFIG_LIMIT)
    except OSError as error:
        raise InputError(
            "The container's config.json cannot be read.", why=f"{path[-200:]}: {error.strerror}"
        ) from error
    if len(data) > _CONFIG_LIMIT:
        raise InputError(f"The container's config.json is longer than {_CONFIG_LIMIT >> 20} MiB.")
    return data
