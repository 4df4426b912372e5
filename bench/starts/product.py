"""The product, installed and refreshed in folders of its own: nothing of the machine's is touched."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).resolve().parent.parent.parent / "src"
DRIVER = Path("/proc/driver/nvidia/version")


@dataclass(frozen=True)
class Product:
    folder: Path
    simulated: bool

    @property
    def runtime(self) -> Path:
        return self.folder / "libexec/current/gpudock-runtime"

    @property
    def hook(self) -> Path:
        return self.runtime.with_name("nvidia-container-runtime-hook")

    @property
    def python(self) -> str:
        return self.runtime.with_name("python").read_text().strip()

    @property
    def specification(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "cdi/gpudock.json").read_text())
        return found

    @property
    def plan(self) -> dict[str, Any]:
        (path,) = (self.folder / "run/plans").iterdir()
        found: dict[str, Any] = json.loads(path.read_text())
        return found

    def runtime_before(self, real: str) -> Path:
        """The entry as it would be if the administrator had chosen this runtime."""
        lines = self.runtime.read_text().splitlines(keepends=True)
        places = [index for index, line in enumerate(lines) if line.strip().startswith("for gd_name in ")]
        lines[places[0]] = f"for gd_name in {real}; do\n"
        path = self.folder / f"gpudock-runtime-{Path(real).name}"
        path.write_text("".join(lines))
        path.chmod(0o755)
        return path

    def __call__(self, *args: str) -> None:
        env = {name: value for name, value in os.environ.items() if not name.startswith("GPUDOCK_")}
        env["PYTHONPATH"] = f"{SOURCES}:{env.get('PYTHONPATH', '')}"
        env |= {f"GPUDOCK_{name.upper()}_DIR": f"{self.folder}/{name}" for name in ("state", "run", "cdi", "libexec")}
        subprocess.run(
            [sys.executable, "-m", "gpudock", *args],
            env=env,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )


def product(folder: Path, *, simulated: bool) -> Product:
    """Of this machine's GPUs, or of two simulated H200."""
    folder.mkdir(mode=0o755)
    made = Product(folder, simulated)
    host = ("--simulated", f"{folder}/gpus") if simulated else ()
    if simulated:
        made("simulate", "make", f"{folder}/gpus")
    made("refresh", "--quiet", *host)
    return made


def folders(wanted: tuple[str, str]) -> Iterator[tuple[str, Path]]:
    """ "disk" and "tmpfs" with a parent for a folder on each, as far as an overlay's changes can be kept there."""
    for path in dict.fromkeys(wanted):
        said = subprocess.run(
            ["stat", "--file-system", "--format=%T", path], capture_output=True, text=True, check=True
        )
        kind = said.stdout.strip()
        if kind != "overlayfs":
            yield ("tmpfs" if kind == "tmpfs" else "disk"), Path(path)
