"""From what is asked for to the work on one engine."""

import os
import shutil
from collections.abc import Mapping
from typing import NamedTuple

from gpudock import proc
from gpudock.engine import detect
from gpudock.engine.configure import containerd, crio, docker_configure, docker_undo, dockerd, podman
from gpudock.engine.configure.wish import Wish
from gpudock.engine.configure.work import Work
from gpudock.engine.docker import Docker
from gpudock.errors import EngineError
from gpudock.host.root import Root

ENGINES = ("docker", "podman", "containerd", "crio")


class Asked(NamedTuple):
    engine: str
    wish: Wish
    config: str | None = None  # path of the engine's configuration file; None: the one that it reads
    restart: bool = False
    undo: bool = False


class Here(NamedTuple):
    """The machine, as the caller sees it."""

    environment: Mapping[str, str]
    uid: int
    config_home: str  # ~/.config
    machine: Root
    processes: Root
    run: proc.Runner


def plan(asked: Asked, here: Here) -> Work:
    """What is to be done; nothing is changed yet. Raises GpudockError."""
    machine, run, restart = here.machine, here.run, asked.restart
    if not asked.undo and shutil.which(asked.engine, path=here.environment.get("PATH", os.defpath)) is None:
        raise EngineError(f"{asked.engine} is not installed.", why=f"no program {asked.engine} on PATH")
    if asked.engine == "docker":
        daemon = _docker(asked, here)
        if asked.undo:
            return docker_undo.plan(daemon, machine, run, restart=restart)
        return docker_configure.plan(daemon, asked.wish, machine, run, restart=restart)
    if asked.engine == "podman":
        where = podman.path(here.uid, here.config_home)
        if asked.undo:
            return podman.undo(machine, where, here.environment, run)
        return podman.plan(asked.wish, machine, where, here.environment, run)
    if asked.engine == "crio":
        if asked.undo:
            return crio.undo(machine, here.processes, run, restart=restart)
        return crio.plan(asked.wish, machine, here.processes, run, restart=restart)
    config = containerd.config_path(machine, asked.config)
    if asked.undo:
        return containerd.undo(machine, here.processes, config, run, restart=restart)
    return containerd.plan(asked.wish, machine, here.processes, config, run, restart=restart)


def _docker(asked: Asked, here: Here) -> dockerd.Daemon:
    (client,) = detect.clients({"engine": "docker"}, detect.this_machine(here.environment))
    assert isinstance(client, Docker)
    place = dockerd.Place(here.machine, here.processes, here.uid, here.config_home)
    return dockerd.find(client, here.run, place, asked.config)
