"""Where gpudock keeps things: GPUDOCK_*_DIR variables win over the configuration file, that over the defaults."""

import os
from collections.abc import Mapping
from typing import NamedTuple

from gpudock import publish
from gpudock.errors import InputError, RefusedError

CONFIG = "/etc/gpudock/config.toml"
PROGRAM = "/opt/gpudock"  # the whole program in root's hands
SYSTEM_CDI = ("/etc/cdi", "/var/run/cdi")  # where every engine looks


class Paths(NamedTuple):
    state: str  # driver trees; survives a reboot
    run: str  # plans and locks; gone after a reboot
    cdi: str  # folder of the CDI specification
    libexec: str  # root-owned code that runs at container start

    @property
    def trees(self) -> str:
        return self.state + "/driver"

    @property
    def plans(self) -> str:
        return self.run + "/plans"

    @property
    def spec(self) -> str:
        return self.cdi + "/gpudock.json"

    @property
    def aside(self) -> str:
        """Our specification where somebody else's is in charge: no engine looks here, only the runtime does."""
        return self.run + "/gpudock.json"

    @property
    def source(self) -> str:
        return self.state + "/source.json"

    @property
    def lock(self) -> str:
        return self.run + "/refresh.lock"


ROOT = Paths("/var/lib/gpudock", "/run/gpudock", "/var/run/cdi", "/usr/libexec/gpudock")


def paths(environment: Mapping[str, str], *, uid: int, config: str = CONFIG) -> Paths:
    """The folders of this user. A rootless engine's user has them below the own home and XDG_RUNTIME_DIR."""
    base = ROOT if uid == 0 else _of_user(environment, uid)
    values = base._asdict()
    for name, value in _configured(config).items() if uid == 0 else ():
        if name not in values or not isinstance(value, str) or not value.startswith("/"):
            raise InputError(f"{config}: [paths] {name} must be one of {', '.join(values)} with an absolute path.")
        values[name] = value
    for name in values:
        value = environment.get(f"GPUDOCK_{name.upper()}_DIR")
        if value:
            if not value.startswith("/"):
                raise InputError(f"GPUDOCK_{name.upper()}_DIR must be an absolute path, not {value!r}.")
            values[name] = value
    values = {name: value.rstrip("/") for name, value in values.items()}
    if _read_only(values["libexec"]):  # /usr of an image-based system
        values["libexec"] = values["state"] + "/libexec"
    return Paths(**values)


def _read_only(folder: str) -> bool:
    folder = folder or "/"
    while not os.path.exists(folder):
        folder = os.path.dirname(folder)
    return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)


def check(paths: Paths) -> None:
    """Raise RefusedError where others could change what is written as root. Each folder may be missing yet."""
    if os.geteuid() != 0:
        return
    if os.path.islink(paths.trees):
        raise RefusedError(f"{paths.trees} is a link.", mend="remove it; GPUDOCK_STATE_DIR may name another folder")
    for folder in (paths.state, paths.trees, paths.run, paths.plans, paths.cdi, paths.libexec):
        problem = publish.insecure(folder)
        if problem:
            raise RefusedError(
                f"Root's files must not be kept in {folder}.",
                why=problem,
                mend="let root own it and every folder above it, writable by root only, or set another folder",
            )


def _of_user(environment: Mapping[str, str], uid: int) -> Paths:
    home = environment.get("HOME") or "/"
    data = environment.get("XDG_DATA_HOME") or home + "/.local/share"
    runtime = environment.get("XDG_RUNTIME_DIR") or f"/run/user/{uid}"
    return Paths(data + "/gpudock", runtime + "/gpudock", runtime + "/gpudock/cdi", data + "/gpudock/libexec")


def _configured(config: str) -> dict[str, object]:
    if not os.path.exists(config):
        return {}
    import tomllib  # noqa: PLC0415  start-up time: most machines have no such file

    try:
        with open(config, "rb") as file:
            table = tomllib.load(file).get("paths", {})
    except (OSError, ValueError) as error:  # ValueError: no TOML, or no UTF-8
        raise InputError(f"{config} cannot be read.", why=str(error), mend="mend or remove the file") from error
    if not isinstance(table, dict):
        raise InputError(f"{config}: paths must be a table.")
    return table


def in_force(environment: Mapping[str, str], *, uid: int) -> Paths:
    """Where the specification lies that gives this user's containers their GPUs: the machine's, else the user's own."""
    system, own = paths(environment, uid=0), paths(environment, uid=uid)
    return own if os.path.exists(own.spec) and not os.path.exists(system.spec) else system


def default_paths() -> Paths:
    return paths(os.environ, uid=os.geteuid())
