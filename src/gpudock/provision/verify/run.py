"""One container on each engine by `gpudock run`, and what it says held against the host."""

import hashlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from gpudock.facts.base import Missing
from gpudock.facts.engine import Engine
from gpudock.facts.snapshot import Snapshot
from gpudock.plan.quote import count, quote
from gpudock.proc import Command, Runner
from gpudock.provision.verify.image import Image

NAME = "localhost/gpudock-verify"
_OURS = re.compile(r"\bgpudock(?:-hook|-runtime)?: (?!SIMULATED)")
_KNOWN = ("Run 'docker ", "gpudock: SIMULATED")  # run --help' for more information
SECONDS = 120.0  # the first start of a machine whose GPUs sleep takes long


class _Part(msgspec.Struct):
    problem: str = ""
    driver: str = ""
    uuids: list[str] = []
    cuda: str = ""
    gpus: list["_Gpu"] = []


class _Gpu(msgspec.Struct):
    name: str
    milliseconds: float | None = None
    problem: str = ""


class _Told(msgspec.Struct):
    nodes: list[str]
    nvml: _Part
    cuda: _Part


class Step(NamedTuple):
    what: str  # "devices", "libraries", "versions", "computation"
    ok: bool | None  # None: not possible here
    says: str


class Verified(NamedTuple):
    engine: str
    steps: tuple[Step, ...]

    @property
    def ok(self) -> bool:
        return all(step.ok is not False for step in self.steps)


def verify(engine: Engine, machine: Snapshot, image: Image, run: Runner) -> Verified:
    """The image is there for as long as it takes only."""
    name = f"{engine.name} {engine.version}" if isinstance(engine.version, str) else engine.name
    tag = f"{NAME}:{hashlib.sha256(image.tar).hexdigest()[:12]}"
    with tempfile.NamedTemporaryFile(suffix=".tar") as file:
        file.write(image.tar)
        file.flush()
        loaded = run(Command((engine.name, "import", file.name, tag), timeout=SECONDS))
    if not loaded.ok:
        return Verified(name, (Step("image", ok=False, says=_last(loaded.err)),))
    try:
        own = (sys.executable, "-m", "gpudock", "run", "--engine", engine.name)
        argv = (*own, "--rm", "--network", "none", "--gpus", "all", tag, *image.argv)
        answer = run(Command(argv, timeout=SECONDS, env=os.environ))
    finally:
        run(Command((engine.name, "rmi", "--force", tag), timeout=SECONDS))
    try:
        told = msgspec.json.decode(answer.out.strip().rpartition("\n")[2], type=_Told)
    except (msgspec.DecodeError, RecursionError):
        return Verified(name, (Step("container", ok=False, says=_last(answer.err) or f"exit code {answer.code}"),))
    return Verified(name, tuple(_judged(told, machine)))


def _last(text: str) -> str:
    """What our hook, runtime or program said: engines put half a screen before it. Else the last lines."""
    found = [*_OURS.finditer(text)]
    cut = text[found[-1].start() :] if found else text
    lines = [line.strip() for line in cut.splitlines() if line.strip() and not line.startswith(_KNOWN)]
    return " ".join(quote(line, 300) for line in (lines[:3] if found else lines[-3:]))


def _judged(told: _Told, machine: Snapshot) -> Iterator[Step]:
    yield _devices(told, machine)
    for part, name in ((told.nvml, "libnvidia-ml.so.1"), (told.cuda, "libcuda.so.1")):
        if part.problem:
            yield Step("libraries", ok=False, says=f"{name}: {quote(part.problem, 200)}")
    if told.nvml.problem or told.cuda.problem:
        return
    yield Step("libraries", ok=True, says="libnvidia-ml and libcuda load and answer")
    yield _versions(told, machine)
    yield from _computation(told, machine)


def _devices(told: _Told, machine: Snapshot) -> Step:
    if machine.system.wsl:
        return Step("devices", ok=None, says="WSL has one node for all GPUs")
    wanted = {"/dev/nvidiactl", "/dev/nvidia-uvm", *(f"/dev/nvidia{gpu.minor}" for gpu in machine.gpus)}
    lacking = sorted(wanted - {*told.nodes})
    if lacking:
        return Step("devices", ok=False, says=f"{', '.join(lacking)} not in the container")
    return Step("devices", ok=True, says=f"{count(len(machine.gpus), 'GPU')}, {count(len(told.nodes), 'node')}")


def _versions(told: _Told, machine: Snapshot) -> Step:
    nvml = machine.nvml
    outside = "" if isinstance(nvml, Missing) else nvml.driver
    inside = quote(told.nvml.driver, 40)
    if outside and told.nvml.driver != outside:
        return Step("versions", ok=False, says=f"driver {inside} inside, {outside} outside")
    uuids = {gpu.uuid for gpu in machine.gpus}
    if uuids != {*told.nvml.uuids}:
        return Step("versions", ok=False, says=f"other GPUs inside: {len(told.nvml.uuids)} of {len(uuids)}")
    return Step(
        "versions", ok=True, says=f"driver {inside}, CUDA {quote(told.cuda.cuda, 20)}, the same GPUs as outside"
    )


def _computation(told: _Told, machine: Snapshot) -> Iterator[Step]:
    if machine.roots.simulated:
        yield Step("computation", ok=None, says="not possible on simulated GPUs")
        return
    if not told.cuda.gpus:
        yield Step("computation", ok=False, says="CUDA finds no GPU")
    for index, gpu in enumerate(told.cuda.gpus):
        if gpu.problem:
            yield Step("computation", ok=False, says=f"GPU {index}, {quote(gpu.name)}: {quote(gpu.problem, 200)}")
        else:
            yield Step(
                "computation", ok=True, says=f"GPU {index}, {quote(gpu.name)}: right, in {gpu.milliseconds:.0f} ms"
            )
