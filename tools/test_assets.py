"""Makes what tests/real keeps in this user's cache, all at once: images, Docker with CDI, drivers. Kept ones stay."""

import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from real import env_stage
from real.harness import archive, docker_tree, drivers, engines, images
from real.harness.commands import CommandFailed


def assets() -> dict[str, Callable[[], object]]:
    """By name, slowest first."""
    made: dict[str, Callable[[], object]] = {}
    if archive.distribution() == "debian":  # the archive that has NVIDIA's packages of all branches
        made["drivers"] = drivers.fetch
    made |= {f"image {name}": partial(images.tar, name) for name in images.DEBIAN}
    made["image notebook"] = env_stage.base
    if not engines.host_docker_has_cdi():
        made["docker with CDI"] = docker_tree.programs
    return made | {f"image {name}": partial(images.tar, name) for name in images.NAMES if name not in images.DEBIAN}


def main() -> int:
    start = time.monotonic()
    failed = 0
    with ThreadPoolExecutor(max_workers=4) as pool:
        running: dict[Future[object], str] = {pool.submit(make): name for name, make in assets().items()}
        for done in as_completed(running):
            seconds = time.monotonic() - start
            try:
                done.result()
            except CommandFailed as failure:
                failed += 1
                print(f"{running[done]}: {failure}", file=sys.stderr)
            else:
                if seconds > 1:
                    print(f"{running[done]}: ready after {seconds:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
