"""`docker run` whole, on a Docker of its own."""

import contextlib
import functools
import tarfile
from collections.abc import Mapping
from pathlib import Path

from bench.starts import turns
from bench.starts.product import Product

from real.harness import docker_tree, engines, leftovers
from real.harness.engines import Engine

IMAGE = "localhost/gpudock-bench"


def measure(folder: Path, product: Product, tar: Path, packed: Path | None, number: int) -> tuple[turns.Figures, str]:
    """The figures and the version of Docker. `packed`: the folder of its programs, else those of the tests' harness."""
    config = {
        "runtimes": {"gpudock": {"path": str(product.runtime)}},
        "cdi-spec-dirs": [str(product.folder / "cdi")],
        "features": {"cdi": True},
    }
    traces = leftovers.EngineTraces()
    try:
        with _docker(folder, config, {product.hook.name: product.hook}, packed) as engine:
            engine.run("import", str(tar), IMAGE)
            samples = turns.rounds(_cases(engine), number)
            return turns.figures(samples[""]), engine.version
    finally:
        traces.remove()


def _docker(
    folder: Path, config: Mapping[str, object], beside: Mapping[str, Path], packed: Path | None
) -> contextlib.AbstractContextManager[Engine]:
    if packed is None:
        return engines.docker28(folder, config, beside)
    programs = {name: packed / name for name in docker_tree.PROGRAMS} | dict(beside)
    return engines._docker("docker", folder, programs, config, engines.CDI_DIRS)  # noqa: SLF001  others ask dpkg


def _cases(engine: Engine) -> dict[str, functools.partial[Mapping[str, float]]]:
    ours = ("--runtime", "gpudock")
    asks = ("-e", "NVIDIA_VISIBLE_DEVICES=all", "-e", "NVIDIA_DRIVER_CAPABILITIES=all")
    flags: dict[str, tuple[str, ...]] = {
        "docker run": (),
        "docker run --runtime gpudock, no request": ours,
        "docker run --runtime gpudock -e NVIDIA_VISIBLE_DEVICES=all": (*ours, *asks),
        "docker run --runtime gpudock --gpus all": (*ours, "--gpus", "all"),
        "docker run --device nvidia.com/gpu=all": ("--device", "nvidia.com/gpu=all"),
    }
    return {name: functools.partial(_run, engine, more) for name, more in flags.items()}


def _run(engine: Engine, flags: tuple[str, ...]) -> Mapping[str, float]:
    argv = [*engine.argv, "run", "--rm", "--network", "none", *flags, IMAGE, "/bin/true"]
    return {"": turns.timed(argv, engine.env)}


def unpack(folder: Path) -> Path:
    """The programs that tools/gpu_machine.py has packed, put where they were linked for."""
    with tarfile.open(folder / "engine.tar.xz") as packed:
        packed.extractall("/", filter="tar")
    return Path((folder / "programs").read_text().strip())
