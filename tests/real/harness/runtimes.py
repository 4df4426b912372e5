"""Engines that know the OCI runtime `gpudock`, as `gpudock configure` would have left them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import CompletedProcess

from real.harness import engines, images
from real.harness.engines import Engine
from real.harness.product import Product

LOOK = "ls /dev; echo devices=$NVIDIA_VISIBLE_DEVICES; /probe libcuda.so.1 libnvidia-ml.so.1 --nvml"


@dataclass(frozen=True)
class Configured:
    """An engine that knows the runtime."""

    engine: Engine
    flags: tuple[str, ...]  # that choose it

    def run(
        self, *args: str, image: str = "tiny", env: Mapping[str, str] | None = None, check: bool = True
    ) -> CompletedProcess[str]:
        """docker run with the runtime; the words before "--" are flags, those after it the command."""
        split = args.index("--") if "--" in args else len(args)
        reference = images.load(self.engine, image, env=env)
        flags = [*self.flags, "--rm", "--network", "none", *args[:split]]
        return self.engine.run("run", *flags, reference, *(args[split + 1 :] or ("/bin/sh", "-c", LOOK)), check=check)


def path(gpudock: Product) -> Path:
    return gpudock.folder / "libexec/current/gpudock-runtime"


def hook(gpudock: Product) -> dict[str, Path]:
    """What docker's --gpus looks for."""
    return {"nvidia-container-runtime-hook": gpudock.folder / "libexec/current/nvidia-container-runtime-hook"}


@contextmanager
def docker(version: int, gpudock: Product, folder: Path, **config: object) -> Iterator[Configured]:
    """version: 20 or 28; config: more of daemon.json."""
    settings = {"runtimes": {"gpudock": {"path": str(path(gpudock))}}, **config}
    start = engines.docker20 if version == 20 else engines.docker28
    with start(folder, settings, hook(gpudock)) as engine:
        yield Configured(engine, ("--runtime", "gpudock"))


def podman(gpudock: Product, engine: Engine) -> Configured:
    return Configured(replace(engine, argv=(*engine.argv, "--runtime", str(path(gpudock)))), ())
