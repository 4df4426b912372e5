"""Podman of a user who is not root: by the machine's CDI specification, and by the runtime."""

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from real.harness import runtimes
from real.harness.product import Product, product
from real.harness.rootless import Rootless, rootless_podman

pytestmark = pytest.mark.real

LOADED = re.compile(r"^(\S+) ok ", re.MULTILINE)
LOOK = f"{runtimes.LOOK}; stat -c '%u:%g %n' /etc/ld.so.cache /etc/ld.so.conf.d/00-gpudock.conf /usr/bin/nvidia-smi"


@pytest.fixture(scope="module")
def gpudock(session_root: Path) -> Iterator[Product]:
    mode = session_root.stat().st_mode
    session_root.chmod(0o755)
    with product(session_root) as made:
        yield made
    session_root.chmod(mode)


@pytest.fixture(scope="module")
def rootless(gpudock: Product, session_root: Path) -> Iterator[Rootless]:
    del gpudock  # its folder is open to others meanwhile
    with rootless_podman(session_root) as made:
        yield made


@pytest.fixture
def nodes(gpudock: Product) -> Iterator[None]:
    """The simulated nodes at their usual places too: rootless podman 4 mounts those, whatever else a specification says."""
    made = []
    for source in sorted((gpudock.gpus / "dev").glob("nvidia*")):
        found = source.stat()
        if stat.S_ISCHR(found.st_mode):
            place = Path("/dev", source.name)
            os.mknod(place, stat.S_IFCHR | 0o666, found.st_rdev)
            place.chmod(0o666)
            made.append(place)
    yield
    for place in made:
        place.unlink()


def check(done: CompletedProcess[str]) -> None:
    assert LOADED.findall(done.stdout) == ["libcuda.so.1", "libnvidia-ml.so.1"]
    assert set(re.findall(r"\bnvidia\d+\b", done.stdout)) == {"nvidia0"}
    assert re.findall(r"^(\d+:\d+) /", done.stdout, re.MULTILINE) == ["0:0"] * 3


@pytest.mark.usefixtures("nodes")
def test_by_cdi(rootless: Rootless) -> None:
    check(rootless("run", "--rm", "--device", "nvidia.com/gpu=0", "localhost/tiny", "/bin/sh", "-c", LOOK))


def test_by_the_runtime(rootless: Rootless, gpudock: Product) -> None:
    runtime = ("--runtime", str(runtimes.path(gpudock)))
    asked = ("-e", "NVIDIA_VISIBLE_DEVICES=0")
    check(rootless(*runtime, "run", "--rm", *asked, "localhost/tiny", "/bin/sh", "-c", LOOK))


def test_a_stale_plan_is_refused_and_not_refreshed_by_a_user(rootless: Rootless, gpudock: Product) -> None:
    gpudock("simulate", "upgrade", str(gpudock.gpus), "590.10")
    try:
        runtime = ("--runtime", str(runtimes.path(gpudock)))
        asked = ("-e", "NVIDIA_VISIBLE_DEVICES=0")
        done = rootless(*runtime, "run", "--rm", *asked, "localhost/tiny", "/bin/true", check=False)
        assert done.returncode != 0
        assert "sudo gpudock refresh" in done.stderr
    finally:
        gpudock.simulate()
        gpudock.refresh()
