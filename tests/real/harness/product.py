"""The product as its users call it, on simulated GPUs, with everything that it keeps in the session's folder."""

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

from real.harness.commands import run
from real.harness.engines import Engine

SPEC = Path("/var/run/cdi/gpudock.json")  # where every engine looks


@dataclass(frozen=True)
class Product:
    folder: Path  # trees, plans and start files
    gpus: Path  # the simulated machine

    @property
    def env(self) -> dict[str, str]:
        parts = {"STATE": "state", "RUN": "run", "LIBEXEC": "libexec"}
        return {f"GPUDOCK_{name}_DIR": str(self.folder / part) for name, part in parts.items()}

    def __call__(
        self, *args: str, check: bool = True, env: Mapping[str, str] | None = None, timeout: float = 120
    ) -> CompletedProcess[str]:
        """gpudock ARGS"""
        variables = {**(env if env is not None else os.environ), **self.env}
        return run([sys.executable, "-m", "gpudock", *args], env=variables, check=check, timeout=timeout)

    def simulate(self, *args: str) -> None:
        """`simulate make`. The usual machine is compiled for its place once, and copied from then on."""
        usual = self.gpus.with_name(f"{self.gpus.name}-usual")
        if args or not usual.exists():
            self("simulate", "make", str(self.gpus), "--replace", *args)
        else:
            shutil.rmtree(self.gpus, ignore_errors=True)
            run(["cp", "-a", str(usual), str(self.gpus)])
        if not args and not usual.exists():
            run(["cp", "-a", str(self.gpus), str(usual)])

    def refresh(self, *args: str) -> CompletedProcess[str]:
        return self("refresh", "--simulated", str(self.gpus), *args)

    def run(self, engine: Engine, *args: str, check: bool = True) -> CompletedProcess[str]:
        """gpudock run ARGS, on this engine, without a network."""
        name = "podman" if engine.name == "podman" else "docker"
        return self("run", "--engine", name, "--rm", "--network", "none", *args, check=check, env=engine.env)


@contextmanager
def product(folder: Path) -> Iterator[Product]:
    """Two simulated H200, refreshed. Refuses a machine whose own specification it would overwrite."""
    assert not SPEC.exists(), f"{SPEC} exists: these tests would replace this machine's own specification"
    made = Product(folder / "gpudock", folder / "gpus")
    had_folder = SPEC.parent.is_dir()
    try:
        made.simulate()
        made.refresh()
        yield made
    finally:
        for spec in SPEC.parent.glob("gpudock*.json"):
            spec.unlink()
        if not had_folder and SPEC.parent.is_dir():
            SPEC.parent.rmdir()
