"""The driver's package is upgraded while the old module stays loaded, as between every upgrade and the next reboot."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpudock.refresh import tree
from real.harness import images
from real.harness.engines import Engine
from real.harness.product import SPEC, Product, product

pytestmark = pytest.mark.real

OLD, NEW = "580.159.04", "590.10"
KEPT = f"driver {NEW} is installed, {OLD} is still loaded: containers keep {OLD} until the reboot"
LOOK = ("/bin/sh", "-c", "ls /usr/local/nvidia/lib64; nvidia-smi; /probe libcuda.so.1 --nvml")


@pytest.fixture
def gpudock(session_root: Path) -> Iterator[Product]:
    with product(session_root) as made:
        try:
            yield made
        finally:
            tree.discard(str(made.folder))
            tree.discard(str(made.gpus))


def upgrade_packages_only(made: Product) -> None:
    """The files of the next driver in the place of the old ones; the kernel still has the old module."""
    machine = json.loads(made("simulate", "describe", "--driver", NEW).stdout)
    description = made.folder / "description.json"
    description.write_text(json.dumps({**machine, "module": OLD}))
    made("simulate", "make", str(made.gpus), "--replace", "--description", str(description))


@pytest.mark.parametrize("way", ["link", "bind", "copy"])
def test_containers_keep_the_loaded_driver_until_the_reboot(gpudock: Product, podman: Engine, way: str) -> None:
    reference = images.load(podman, "tiny")
    tree.discard(str(gpudock.folder / "state/driver"))
    gpudock.refresh("--way", way)
    upgrade_packages_only(gpudock)
    assert KEPT in gpudock.refresh("--dry-run").stderr
    for _ in range(2):
        done = gpudock.refresh("--quiet")
        assert (done.returncode, done.stdout) == (0, "")
        assert KEPT in done.stderr
    said = gpudock.run(podman, "--gpus", "all", reference, *LOOK).stdout
    assert (OLD in said, NEW in said) == (True, False), said
    gpudock("simulate", "upgrade", str(gpudock.gpus), NEW)  # with its module: the reboot
    gpudock.refresh()
    said = gpudock.run(podman, "--gpus", "all", reference, *LOOK).stdout
    assert (OLD in said, NEW in said) == (False, True), said


def test_without_a_whole_tree_it_is_refused(gpudock: Product) -> None:
    (cuda,) = (gpudock.folder / "state/driver").glob(f"*/all/lib64/libcuda.so.{OLD}")
    cuda.unlink()
    upgrade_packages_only(gpudock)
    done = gpudock("refresh", "--simulated", str(gpudock.gpus), check=False)
    assert done.returncode == 4
    assert f"The loaded kernel module is {OLD}, the driver's libraries are {NEW}." in done.stderr
    assert "reboot" in done.stderr
    assert not SPEC.exists()
