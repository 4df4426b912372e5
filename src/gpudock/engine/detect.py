"""Which engine to use: the one that was asked for, else docker when it is running, else podman."""

import os
from collections.abc import Callable, Mapping
from typing import NamedTuple

from gpudock.engine import endpoint
from gpudock.engine.base import Client
from gpudock.engine.docker import Docker
from gpudock.engine.podman import Podman
from gpudock.errors import EngineError, UsageError
from gpudock.plan.quote import quote

NAMES = ("docker", "podman")
VARIABLE = "GPUDOCK_ENGINE"


class Machine(NamedTuple):
    """What the choice depends on besides the command line."""

    environment: Mapping[str, str]
    program: Callable[[str], str | None]  # where a program is on PATH
    exists: Callable[[str], bool]
    files: endpoint.Files
    kernel: str
    root: bool


def this_machine(environment: Mapping[str, str]) -> Machine:
    def program(name: str) -> str | None:
        folders = (environment.get("PATH") or os.defpath).split(os.pathsep)
        places = (os.path.join(folder, name) for folder in folders)
        return next((place for place in places if os.path.isfile(place) and os.access(place, os.X_OK)), None)

    files = endpoint.Files(_text, _names)
    return Machine(environment, program, os.path.exists, files, os.uname().release, os.geteuid() == 0)


def _text(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(1 << 20)
    except OSError:
        return None


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def clients(own: Mapping[str, str], machine: Machine) -> tuple[Client, ...]:
    """The engines to try, in this order. Raises UsageError and EngineError when there is none to try."""
    wanted = own.get("engine") or machine.environment.get(VARIABLE, "")
    source = "--engine" if own.get("engine") else VARIABLE
    elsewhere = next((flag for flag in ("context", "host") if flag in own), None)
    if wanted and wanted not in NAMES:
        raise UsageError(f"{source} {quote(wanted)} is not an engine.", mend="use docker or podman")
    if wanted == "podman" and elsewhere:
        raise UsageError(f"--{elsewhere} is docker's, but {source} asks for podman.", mend="leave one of them out")
    found = [client for name in ([wanted] if wanted else NAMES) if (client := _client(name, own, machine))]
    if elsewhere and not wanted:
        found = [client for client in found if client.name == "docker"]
    if not found:
        raise _not_installed("docker" if elsewhere else wanted, "--" + elsewhere if elsewhere else source)
    if not wanted and len(found) > 1:
        docker, podman = found
        if docker.endpoint.address != endpoint.LOCAL:  # a docker that was set up for this user is the one that is meant
            return (docker,)
        return (docker, podman) if machine.exists(endpoint.SOCKET) else (podman,)
    return tuple(found)


def installed(machine: Machine) -> tuple[Client, ...]:
    """Every engine whose program is here, as this user reaches it. Raises UsageError for broken settings of docker."""
    return tuple(client for name in NAMES if (client := _client(name, {}, machine)))


def _client(name: str, own: Mapping[str, str], machine: Machine) -> Client | None:
    program = machine.program(name)
    if program is None:
        return None
    if name == "podman":
        return Podman(program, endpoint.podman(machine.environment))
    where = endpoint.docker(own, machine.environment, machine.files)
    return Docker(program, where, machine.environment, machine.kernel, not machine.root)


def _not_installed(wanted: str, source: str) -> EngineError:
    if wanted:
        return EngineError(
            f"{wanted} is not installed.",
            why=f"no program {wanted} on PATH",
            mend=f"install it, or leave {source} out to use the engine that is here",
        )
    return EngineError(
        "There is no container engine.",
        why="neither docker nor podman is on PATH",
        mend="install one, for example: sudo apt-get install podman",
    )
