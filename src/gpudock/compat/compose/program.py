"""Which compose program runs: docker compose (a plugin of docker's), docker-compose, or podman-compose."""

import os
from collections.abc import Mapping
from typing import NamedTuple

from gpudock.engine.base import Client
from gpudock.engine.detect import Machine
from gpudock.errors import EngineError

PLUGIN, STANDALONE, PODMAN = "docker compose", "docker-compose", "podman-compose"
_PLUGINS = (
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
)


class Program(NamedTuple):
    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]  # besides the caller's

    @property
    def reads_from_anywhere(self) -> bool:
        """It knows --project-directory; podman-compose takes the folder of its first file."""
        return self.name != PODMAN

    @property
    def version_question(self) -> tuple[str, ...]:
        return (*self.argv, "version", "--short") if self.name != PODMAN else (*self.argv, "--version")


def find(client: Client, own: Mapping[str, str], machine: Machine) -> Program:
    """The best that is here for this engine. Raises EngineError."""
    if client.name == "podman":
        if machine.program(PODMAN):
            return Program(PODMAN, (PODMAN,), {})
        program = _docker_compose(machine, ("docker",))
        socket = _podman_socket(machine, client.endpoint.socket)
        if program is None or socket is None:
            here = f"{program.name} is, but podman's socket is not" if program else "docker-compose is neither"
            raise EngineError(
                "There is no compose program for podman.",
                why=f"podman-compose is not on PATH; {here}",
                mend="install podman-compose (sudo apt-get install podman-compose)",
            )
        return program._replace(environment={"DOCKER_HOST": "unix://" + socket})
    program = _docker_compose(machine, client.words)
    if program is None:
        raise EngineError(
            "There is no compose program for docker.",
            why="neither docker's plugin compose nor docker-compose is installed",
            mend="install one: sudo apt-get install docker-compose-plugin (or docker-compose-v2, or docker-compose)",
        )
    if program.name == STANDALONE and ("host" in own or "context" in own):
        return program._replace(environment={"DOCKER_HOST": client.endpoint.address})
    return program


def _docker_compose(machine: Machine, words: tuple[str, ...]) -> Program | None:
    if machine.program("docker") and any(machine.exists(f"{folder}/docker-compose") for folder in _folders(machine)):
        return Program(PLUGIN, (*words, "compose"), {})
    return Program(STANDALONE, (STANDALONE,), {}) if machine.program(STANDALONE) else None


def _folders(machine: Machine) -> tuple[str, ...]:
    own = machine.environment.get("DOCKER_CONFIG") or machine.environment.get("HOME", "") + "/.docker"
    return (own + "/cli-plugins", *_PLUGINS)


def _podman_socket(machine: Machine, told: str | None) -> str | None:
    runtime = machine.environment.get("XDG_RUNTIME_DIR") or f"/run/user/{os.geteuid()}"
    usual = "/run/podman/podman.sock" if machine.root else runtime + "/podman/podman.sock"
    path = told or usual
    return path if machine.exists(path) else None
