"""What the administrator decides about container starts: the table [runtime] of the configuration file."""

import os
import re
from typing import Any, NamedTuple

from gpudock.errors import InputError
from gpudock.plan.quote import quote
from gpudock.refresh.paths import CONFIG

TABLE = "runtime"
ENVVAR = "accept-nvidia-visible-devices-envvar-when-unprivileged"
VOLUMES = "accept-nvidia-visible-devices-as-volume-mounts"
ANNOTATIONS = "accept-annotations-when-unprivileged"
SWARM = "swarm-resource"
DISABLE_REQUIRE = "disable-require"
RUNTIMES = "runtimes"
LOOKUP = "lookup"
WITHHOLD = "withhold-device-files"
LOOKUPS = ("walk", "openat2")  # as start/lookup.py
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Settings(NamedTuple):
    """`runtimes`: names looked up on PATH, or absolute paths; the first one found is used."""

    accept_envvar_when_unprivileged: bool = True
    accept_volume_mounts: bool = False
    swarm_resource: tuple[str, ...] = ()  # variables in which swarm names the GPUs, such as DOCKER_RESOURCE_GPU
    disable_require: bool = False
    runtimes: tuple[str, ...] = ("runc", "crun")
    lookup: str = "walk"  # how paths in images are looked up
    accept_annotations: bool = False  # where variables may not ask: on engines that take none from images
    withhold_device_files: bool = False  # NVIDIA's libraries in containers make no device nodes


KEYS = (ENVVAR, VOLUMES, SWARM, DISABLE_REQUIRE, RUNTIMES, LOOKUP, ANNOTATIONS, WITHHOLD)  # as the fields of Settings


def read(config: str = CONFIG) -> Settings:
    """The settings of a file; a missing file or key gives the default. Raises InputError, naming the key."""
    if not os.path.exists(config):
        return Settings()
    import tomllib  # noqa: PLC0415  start-up time: most machines have no such file

    try:
        with open(config, "rb") as file:
            document = tomllib.load(file)
    except (OSError, ValueError, RecursionError) as error:  # ValueError: no TOML, or no UTF-8
        raise InputError(f"{config} cannot be read.", why=str(error), mend="mend or remove the file") from error
    return check(document.get(TABLE, {}), config)


def check(table: object, config: str = CONFIG) -> Settings:
    """The settings of an already parsed [runtime] table."""
    if not isinstance(table, dict):
        raise InputError(f"{config}: {TABLE} must be a table.", mend=f"write [{TABLE}] on a line of its own")
    for key in table:
        if key not in KEYS:
            known = ", ".join(KEYS)
            raise InputError(f"{config}: [{TABLE}] has no key {quote(str(key))}.", why=f"known are {known}")
    values: dict[str, Any] = {
        field: _value(config, key, table[key], default)
        for key, field, default in zip(KEYS, Settings._fields, Settings(), strict=True)
        if key in table
    }
    return Settings()._replace(**values)


def _value(config: str, key: str, value: object, default: object) -> object:
    where = f"{config}: [{TABLE}] {key}"
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise InputError(f"{where} must be true or false, not {quote(str(value))}.")
        return value
    if isinstance(default, str):
        if value not in LOOKUPS:
            raise InputError(f"{where} must be one of {', '.join(LOOKUPS)}, not {quote(str(value))}.")
        return value
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise InputError(f"{where} must be a list of texts, not {quote(str(value))}.", mend=f'write {key} = ["NAME"]')
    return _names(where, key, tuple(value))


def _names(where: str, key: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Without duplicates, each of the kind that its key wants."""
    for name in names:
        if key == SWARM and not _VARIABLE.fullmatch(name):
            raise InputError(f"{where}: {quote(name)} is no name of a variable.", mend="such as DOCKER_RESOURCE_GPU")
        if key == RUNTIMES and (not name or "\0" in name or ("/" in name and not name.startswith("/"))):
            raise InputError(f"{where}: {quote(name)} is neither a program's name nor an absolute path.")
    if key == RUNTIMES and not names:
        raise InputError(f"{where} must name at least one program.", mend='write runtimes = ["runc", "crun"]')
    return tuple(dict.fromkeys(names))
