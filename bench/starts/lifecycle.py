"""What one container's create, state, start and delete cost under the bare runtime, under ours, and by CDI."""

import ctypes
import functools
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.starts import bundle, turns
from bench.starts.product import Product

STATES = 5  # `state` is short: asked so many times a round
ALL = ("NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_DRIVER_CAPABILITIES=all")
ONE = ("NVIDIA_VISIBLE_DEVICES=0",)
BARE = "bare"
OURS = "gpudock-runtime, all GPUs and capabilities"
NOTHING = "gpudock-runtime, no request"
CDI = "CDI and hook, all GPUs and capabilities"
_SUBREAPER = 36
_CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Stage:
    """What containers are made from, all on one file system."""

    folder: Path
    image: Path
    product: Product

    def command(self, real: str, *, ours: bool) -> list[str]:
        """The runtime with its global options."""
        program = str(self.product.runtime_before(real)) if ours else real
        return [program, "--root", f"{self.folder}/state-{Path(real).name}"]


@dataclass(frozen=True)
class Case:
    stage: Stage
    command: list[str]
    env: tuple[str, ...] = ()
    device: str = ""  # of the CDI specification

    def configure(self, made: bundle.Bundle, process: list[str]) -> None:
        config = bundle.configuration(made.name, made.folder, process, self.env)
        if self.device:
            config = bundle.edited(config, self.stage.product.specification, self.device)
        (made.folder / "config.json").write_text(json.dumps(config))

    def __call__(self, name: str) -> Mapping[str, float]:
        """A container's whole life: milliseconds by operation."""
        with bundle.bundle(self.stage.folder, name, self.stage.image, kept=True) as made:
            self.configure(made, ["/bin/true"])
            pid = made.folder / "pid"
            taken = {}
            create = ["create", "--bundle", str(made.folder), "--pid-file", str(pid), name]
            try:
                taken["create"] = turns.timed([*self.command, *create])
                states = [turns.timed([*self.command, "state", name]) for _ in range(STATES)]
                taken["state"] = sorted(states)[STATES // 2]
                taken["start"] = turns.timed([*self.command, "start", name])
                os.waitpid(int(pid.read_text()), 0)
                taken["delete"] = turns.timed([*self.command, "delete", name])
            except BaseException:
                subprocess.run([*self.command, "delete", "--force", name], check=False)
                raise
        return taken


def cases(stage: Stage, real: str) -> dict[str, Case]:
    bare, ours = stage.command(real, ours=False), stage.command(real, ours=True)
    return {
        BARE: Case(stage, bare),
        NOTHING: Case(stage, ours),
        "gpudock-runtime, one GPU": Case(stage, ours, ONE),
        OURS: Case(stage, ours, ALL),
        CDI: Case(stage, bare, device="all"),
    }


def measure(stage: Stage, real: str, number: int) -> dict[str, turns.Figures]:
    """By operation. Raises FailedError when the runtime does not work on this machine."""
    adopt()
    named = {
        name: functools.partial(case, f"{os.getpid()}-{index}")
        for index, (name, case) in enumerate(cases(stage, real).items())
    }
    found = turns.rounds(named, number)
    return {operation: turns.figures(samples) for operation, samples in found.items()}


def yardstick(product: Product, number: int) -> turns.Figures:
    """The interpreter alone, beside programs that do as little."""
    words = ("/bin/true", "/bin/sh -c :", f"{product.python} -I -S -c pass")
    found = turns.rounds({word: functools.partial(_plain, word.split()) for word in words}, number)
    return turns.figures(found[""])


def _plain(argv: list[str]) -> Mapping[str, float]:
    return {"": turns.timed(argv)}


def adopt() -> None:
    """Containers whose runtime has gone become children of this process, which can wait for them."""
    if ctypes.CDLL(None, use_errno=True).prctl(_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def runtimes() -> list[str]:
    """The OCI runtimes of this machine; crun refuses one with both versions of control groups."""
    names = ("runc", "crun") if (_CGROUPS / "cgroup.controllers").exists() else ("runc",)
    return [path for path in map(shutil.which, names) if path]
