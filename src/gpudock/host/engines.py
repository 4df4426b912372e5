"""Container engines on this machine: which there are, and what they can do with GPUs."""

import os
import shutil
from collections.abc import Collection
from functools import partial

from gpudock.facts.engine import Engine
from gpudock.host import engine_cri, engine_docker, engine_podman
from gpudock.host.later import Later
from gpudock.host.surroundings import Surroundings
from gpudock.proc import Runner

READERS = {
    "docker": engine_docker.read,
    "podman": engine_podman.read,
    "containerd": engine_cri.containerd,
    "crio": engine_cri.crio,
}


def read(run: Runner, around: Surroundings, names: Collection[str] = tuple(READERS)) -> tuple[Engine, ...]:
    """Those of `names` whose program is on PATH, asked side by side. An engine that is not usable says why."""
    path = around.environment.get("PATH", os.defpath)
    programs = {name: program for name in names if (program := shutil.which(name, path=path))}
    asked = [Later(partial(READERS[name], run, around, program)) for name, program in programs.items()]
    return tuple(engine for each in asked if (engine := each.result()) is not None)
