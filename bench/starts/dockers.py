"""`docker run` whole, on a Docker of its own: with its network, which is what people run, and without any."""

import functools
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.starts import turns
from bench.starts.product import Product

from real.harness import docker_tree, engines, leftovers
from real.harness.engines import Engine

IMAGE = "localhost/gpudock-bench"
NONE = ("--network", "none")


def measure(
    folder: Path, product: Product, tar: Path, packed: Path | None, number: int
) -> Iterator[tuple[str, turns.Figures]]:
    """Figures with `--network none`, and with Docker's own network.

    `packed`: the folder of Docker's programs, else those of the tests. To be called in a network namespace of its own:
    Docker makes its bridge there, and rules where there is iptables.
    """
    config = {
        "runtimes": {"gpudock": {"path": str(product.runtime)}},
        "cdi-spec-dirs": [str(product.folder / "cdi")],
        "features": {"cdi": True},
    }
    programs = (
        {name: packed / name for name in docker_tree.PROGRAMS} if packed is not None else engines.docker28_programs()
    )
    programs[product.hook.name] = product.hook
    traces = leftovers.EngineTraces()
    try:
        with engines.docker_of("docker", folder, programs, config, network=network()) as engine:
            engine.run("import", str(tar), IMAGE)
            yield "none", turns.figures(turns.rounds(_cases(engine, NONE), number)[""])
            yield "default", turns.figures(turns.rounds(_cases(engine, ()), number)[""])
    finally:
        traces.remove()


def network() -> tuple[str, ...]:
    """Flags of the daemon: its default network, as far as this machine has what it needs."""
    rules = () if shutil.which("iptables") else ("--iptables=false", "--ip6tables=false")
    return ("--userland-proxy=false", *rules)


def _cases(engine: Engine, more: tuple[str, ...]) -> dict[str, functools.partial[Mapping[str, float]]]:
    ours = ("--runtime", "gpudock")
    asks = ("-e", "NVIDIA_VISIBLE_DEVICES=all", "-e", "NVIDIA_DRIVER_CAPABILITIES=all")
    flags: dict[str, tuple[str, ...]] = {
        "docker run": (),
        "docker run --runtime gpudock, no request": ours,
        "docker run --runtime gpudock -e NVIDIA_VISIBLE_DEVICES=all": (*ours, *asks),
        "docker run --runtime gpudock --gpus all": (*ours, "--gpus", "all"),
        "docker run --device nvidia.com/gpu=all": ("--device", "nvidia.com/gpu=all"),
    }
    return {name: functools.partial(_run, engine, (*more, *each)) for name, each in flags.items()}


def _run(engine: Engine, flags: tuple[str, ...]) -> Mapping[str, float]:
    argv = [*engine.argv, "run", "--rm", *flags, IMAGE, "/bin/true"]
    return {"": turns.timed(argv, engine.env)}


def unpack(folder: Path) -> Path:
    """The programs that tools/gpu_machine.py has packed, put where they were linked for."""
    with tarfile.open(folder / "engine.tar.xz") as packed:
        packed.extractall("/", filter="tar")
    return Path((folder / "programs").read_text().strip())
