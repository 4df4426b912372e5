"""The driver's libraries into an image's linker cache: merged by the runtime's own code, or made anew by ldconfig."""

import gc
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from bench.starts import elf, turns
from bench.starts.product import Product

from gpudock.plan.document import MOUNT_POINT
from gpudock.start import linker
from gpudock.start.rootfs import Rootfs

SIZES = (500, 5_000, 20_000)  # libraries of the image
FEW = 5  # rounds of the largest: there ldconfig takes seconds


def measure(parent: Path, program: Path, product: Product, number: int) -> dict[str, turns.Figures]:
    """By size. `program`: an ldconfig that is no script."""
    found = {}
    for size in SIZES:
        tree = _Tree(parent / f"rootfs-{size}", program, product, size)
        try:
            cases = {"ldconfig": tree.ldconfig, "merge": tree.merge}
            samples = turns.rounds(cases, number if size <= SIZES[1] else min(number, FEW))
            found[f"{size} libraries"] = turns.figures(samples[""])
        finally:
            shutil.rmtree(tree.root)
    return found


class _Tree:
    def __init__(self, root: Path, program: Path, product: Product, size: int) -> None:
        self.root, self.program = root, str(program)
        variant = product.plan["variants"]["all"]
        self.libraries = variant["libraries"]
        for folder in ("lib64", "etc/ld.so.conf.d", "usr/local"):
            (root / folder).mkdir(parents=True)
        (root / "lib64/ld-linux-x86-64.so.2").touch()
        (root / "etc/ld.so.conf").write_text("include /etc/ld.so.conf.d/*.conf\n")
        (root / "etc/ld.so.conf.d/bench.conf").write_text("/usr/lib/bench\n")
        elf.fill(root / "usr/lib/bench", size)
        self._ldconfig()
        self.cache = (root / "etc/ld.so.cache").read_bytes()
        shutil.copytree(variant["folder"], root / MOUNT_POINT[1:], symlinks=True)

    def ldconfig(self) -> Mapping[str, float]:
        """As NVIDIA's runtime does it: the driver's folders in a configuration file, and ldconfig on all of the image.
        What it remembers of an earlier run holds for the very same files on the very same machine, so no image has it.
        """
        self._reset()
        (self.root / "etc/ld.so.conf.d/00-bench.conf").write_text("".join(f"{one}\n" for one in linker.FOLDERS))
        begun = time.perf_counter()
        self._ldconfig()
        return {"": 1000 * (time.perf_counter() - begun)}

    def merge(self) -> Mapping[str, float]:
        self._reset()
        gc.collect()
        gc.disable()  # as in the runtime
        begun = time.perf_counter()
        root = Rootfs(str(self.root))
        linker.prepare(root, self.libraries)
        root.close()
        taken = 1000 * (time.perf_counter() - begun)
        gc.enable()
        if b"libcuda.so.1" not in (self.root / "etc/ld.so.cache").read_bytes():
            raise turns.FailedError("the merge has added nothing")
        return {"": taken}

    def _reset(self) -> None:
        (self.root / "etc/ld.so.cache").write_bytes(self.cache)
        shutil.rmtree(self.root / "var", ignore_errors=True)
        for path in (self.root / "etc/ld.so.conf.d").glob("00-*.conf"):
            path.unlink()

    def _ldconfig(self) -> None:
        subprocess.run([self.program, "-r", self.root], check=True, stderr=subprocess.DEVNULL)
