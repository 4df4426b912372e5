"""From a recipe to the words of docker's and podman's create. Pure."""

import json
import posixpath
import shlex
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from gpudock.engine import labels
from gpudock.env.devices import Devices
from gpudock.env.inside import MULTIPLEXER, NO_ENTRY
from gpudock.env.naming import WORKSPACE, Names
from gpudock.env.owner import Owner
from gpudock.env.recipe import Healthcheck, Recipe
from gpudock.env.services.place import RUN, SECRETS
from gpudock.env.services.table import Served


class Who(NamedTuple):
    """The user inside."""

    uid: int
    gid: int
    name: str


class Start(NamedTuple):
    """One container to be made."""

    names: Names
    folder: str  # the project's
    source: str  # what is at /workspace: that folder, or a volume where the engine has another machine's files
    owner: Owner
    lock: str
    image: str
    recipe: Recipe
    served: tuple[tuple[Served, int], ...]  # with the port of the engine's machine
    who: Who
    devices: Devices = Devices()
    flags: tuple[str, ...] = ()  # the engine's own peculiarities, and the display's
    home: str = ""  # what ~ means in volumes
    rm: bool = False
    entry: bool = True  # the image has gpudock's, which becomes the user; a user's own Dockerfile has none


def words(start: Start, command: tuple[str, ...], env_files: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Everything after `docker create`, but the GPUs."""
    names = start.names
    shm = start.recipe.resources.shm_size
    return (
        *("--pull", "never", "--name", names.container, "--hostname", names.name, *common(start, env_files), "-it"),
        *(("--rm",) if start.rm else ()),
        *(word for name, value in _labels(start).items() for word in ("--label", f"{name}={value}")),
        *(word for served, port in start.served for word in ("-p", _publish(served, port))),
        *(word for each in start.recipe.ports for word in ("-p", each)),
        *(_healthcheck(start.recipe.healthcheck) if start.recipe.healthcheck else ()),
        *(("--shm-size", shm) if shm else ()),
        *_started(start, command),
    )


def _started(start: Start, command: tuple[str, ...]) -> tuple[str, ...]:
    """Image and command. What an image of the user's own would run first is not what is wanted here."""
    if start.entry:
        return ("--", start.image, *command)
    return (
        *("--user", f"{start.who.uid}:{start.who.gid}", "--entrypoint", command[0]),
        "--",
        start.image,
        *command[1:],
    )


def once(
    start: Start, terminal: tuple[str, ...], command: tuple[str, ...], env_files: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """Everything after `docker run` for a container of one command, but the GPUs."""
    shm = start.recipe.resources.shm_size
    return (
        *("--pull", "never", "--rm", "--hostname", start.names.name, *terminal, *common(start, env_files)),
        *(word for each in start.recipe.ports for word in ("-p", each)),
        *(("--shm-size", shm) if shm else ()),
        *_started(start, command),
    )


def common(start: Start, env_files: tuple[str, ...]) -> tuple[str, ...]:
    """What a container of this environment has, also one that runs a single command."""
    recipe = start.recipe
    return (
        *("--workdir", WORKSPACE),
        *(word for each in _volumes(start) for word in ("-v", each)),
        *("--tmpfs", f"{RUN}:rw,mode=0755,size=1m"),
        *(("--tmpfs", f"{SECRETS}:rw,mode=0755,size=4m") if recipe.secrets else ()),
        *(word for name, value in _user(start).items() for word in ("-e", f"{name}={value}")),
        *(word for path in env_files for word in ("--env-file", path)),
        *(word for entry in _variables(recipe.env) for word in ("-e", entry)),
        *_limits(recipe),
        *start.devices.flags,
        *start.flags,
    )


def _volumes(start: Start) -> Iterator[str]:
    """The project's folder, unless another one is to be there, and the recipe's, from the project's folder."""
    told = [_absolute(each, start.folder, start.home) for each in start.recipe.volumes]
    if not any(each.split(":")[1:2] == [WORKSPACE] for each in told):
        yield f"{start.source}:{WORKSPACE}"
    yield from told


def _absolute(volume: str, folder: str, home: str) -> str:
    source, colon, rest = volume.partition(":")
    if source == "~" or source.startswith("~/"):
        source = home + source[1:]
    elif source in {".", ".."} or source.startswith(("./", "../")):
        source = posixpath.normpath(posixpath.join(folder, source))
    return source + colon + rest


def _user(start: Start) -> dict[str, str]:
    """For the image's entry, which becomes this user, and for whoever runs something in the container later."""
    recipe, who, groups = start.recipe, start.who, start.devices.groups
    found = {
        "GPUDOCK_UID": str(who.uid),
        "GPUDOCK_GID": str(who.gid),
        "GPUDOCK_USER": who.name,
        "GPUDOCK_SHELL": recipe.user.shell,
        "GPUDOCK_GROUPS": ",".join(str(each) for each in groups),
        MULTIPLEXER: recipe.user.multiplexer or "",
        NO_ENTRY: "" if start.entry else "1",
    }
    return {name: value for name, value in found.items() if value}


def _variables(told: Mapping[str, str | None]) -> Iterator[str]:
    for name, value in told.items():
        yield name if value is None else f"{name}={value}"


def _limits(recipe: Recipe) -> Iterator[str]:
    told = recipe.resources
    for flag, value in (
        ("--memory", told.memory),
        ("--memory-swap", told.memory_swap),
        ("--cpus", f"{told.cpus:g}" if told.cpus is not None else None),
        ("--cpuset-cpus", told.cpuset),
        ("--pids-limit", told.pids),
    ):
        if value is not None:
            yield from (flag, str(value))


def _labels(start: Start) -> dict[str, str]:
    services = [
        {"name": served.name, "port": served.port, "host_port": port, "address": served.address}
        for served, port in start.served
    ]
    return {
        labels.ENV: start.names.name,
        labels.OWNER: start.owner.name,
        labels.OWNER_UID: str(start.owner.uid),
        labels.PROJECT: start.folder,
        labels.LOCK: start.lock,
        labels.SERVICES: json.dumps(services, separators=(",", ":")),
    }


def _publish(served: Served, port: int) -> str:
    address = f"[{served.address}]" if ":" in served.address else served.address
    return f"{address}:{port}:{served.port}" if address else f"{port}:{served.port}"


def _healthcheck(told: Healthcheck) -> tuple[str, ...]:
    """Compose's forms: a command for the shell, or [CMD, program, ...], [CMD-SHELL, command], [NONE]."""
    if isinstance(told.test, str):
        test = told.test
    else:
        kind, *rest = told.test or ("NONE",)
        if kind == "NONE":
            return ("--no-healthcheck",)
        test = rest[0] if kind == "CMD-SHELL" and rest else shlex.join(rest if kind == "CMD" else told.test)
    return (
        *("--health-cmd", test, "--health-interval", told.interval, "--health-timeout", told.timeout),
        *("--health-start-period", told.start_period, "--health-retries", str(told.retries)),
    )
