"""Whether a docker says of itself what its file says. Pure."""

from collections.abc import Mapping
from typing import Any

from gpudock.engine.configure.docker_settings import DATA_ROOT, LIVE_RESTORE, MIRRORS, NODE, RELOADED, TOLD, USERNS
from gpudock.engine.configure.dockerd import Info


def told(value: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    """Of a file, the named settings that `docker info` tells."""
    return {key: value[key] for key in TOLD if key in keys and key in value}


def reloaded(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key in RELOADED}


def unmet(settings: Mapping[str, Any], info: Info) -> str:
    """The first setting that is not in force, "" when all are."""
    for key, value in settings.items():
        if not _met(key, value, info):
            return f"docker info does not confirm {key}"
    return ""


def _met(key: str, value: Any, info: Info) -> bool:  # noqa: ANN401  JSON
    if key == MIRRORS:
        there = {str(each).rstrip("/") for each in (info.registry_config or {}).get("Mirrors") or []}
        return {each.rstrip("/") for each in value} <= there
    if key == LIVE_RESTORE:
        return info.live_restore_enabled is value
    if key == DATA_ROOT:
        return (info.docker_root_dir + "/").startswith(value.rstrip("/") + "/")  # userns-remap: a folder in it
    if key == USERNS:
        return any(option.startswith("name=userns") for option in info.security_options or ())
    return key != NODE or {each.partition("=")[::2] for each in value} <= _resources(info)


def _resources(info: Info) -> set[tuple[str, str]]:
    specs = [spec for each in info.generic_resources or () for spec in each.values() if isinstance(spec, dict)]
    return {(str(spec.get("Kind")), str(spec.get("Value"))) for spec in specs}
