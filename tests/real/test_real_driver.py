"""Real driver files of Debian's packages in a container: every file that the driver has for it, none of another version.

The kernel's side is simulated (no GPU here), the user space is NVIDIA's own, so libcuda and libnvidia-ml are loaded for
real and NVML itself says that no driver answers.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from real.harness import images, layouts
from real.harness.engines import Engine
from real.harness.expected import expected_of
from real.harness.layout import Layout
from real.harness.product import Product, product

pytestmark = [pytest.mark.real, pytest.mark.debian]

NODES = Path("/dev")
LIST = "cd /usr/local/nvidia && find . -type f -o -type l"


@pytest.fixture(scope="module")
def gpudock(session_root: Path) -> Iterator[Product]:
    with product(session_root) as made:
        yield made


@pytest.fixture(
    scope="module",
    params=[("debian", "535"), ("ubuntu", "550"), ("tesla-470", "470"), ("h200", None)],
    ids=lambda case: case[0],
)
def host(request: pytest.FixtureRequest, gpudock: Product) -> Iterator[Layout]:
    """A machine with this driver: its files, and a kernel and device nodes that fit them."""
    name, branch = request.param
    root = gpudock.gpus.with_name("real-driver")
    whole = name in {"debian", "ubuntu"}
    built = layouts.build(name, root, branch, whole=whole)
    kernel = gpudock.gpus.with_name("kernel")
    gpudock("simulate", "make", str(kernel), "--model", "T4", "--driver", built.version)
    for part in ("dev", "proc", "sys"):
        shutil.rmtree(root / part, ignore_errors=True)
        os.rename(kernel / part, root / part)
    shutil.copy(kernel / "simulated.json", root)
    had = set(NODES.glob("nvidia*"))
    yield built
    for node in set(NODES.glob("nvidia*")) - had:  # NVIDIA's own NVML makes /dev/nvidiactl when it finds none
        node.unlink()
    shutil.rmtree(kernel)
    shutil.rmtree(root)


def refresh(host: Layout, gpudock: Product) -> None:
    """NVIDIA's own NVML finds no GPU here: what /proc tells is used, said, and called incomplete by the exit code."""
    done = gpudock("refresh", "--simulated", str(host.root), check=False)
    assert done.returncode == 4, done.stderr
    assert "NVML did not answer" in done.stderr
    assert "/var/run/cdi/gpudock.json" in done.stdout  # written, or by the other engine's test already


def test_a_container_gets_all_of_the_driver(host: Layout, gpudock: Product, podman: Engine) -> None:
    refresh(host, gpudock)
    reference = images.load(podman, "tiny")
    asked = '"device=0","capabilities=all"'
    seen = gpudock.run(podman, "--gpus", asked, reference, "/bin/sh", "-c", LIST).stdout.split()
    wanted = expected_of(host)
    names = {path.rpartition("/")[2] for path in seen}
    assert set(wanted.libraries) | set(wanted.binaries) | set(wanted.xorg) <= names
    assert {f"./firmware/{Path(path).name}" for path in wanted.firmware} <= set(seen)
    if host.compat32:
        assert {f"./lib/{name}" for name in wanted.libraries32} <= {path.replace("/vdpau/", "/") for path in seen}
    script = "; ".join(f"[ -s {path} ] || echo missing {path}" for path in [*wanted.config, *wanted.firmware])
    missing = gpudock.run(podman, "--gpus", asked, reference, "/bin/sh", "-c", script).stdout.split("\n")
    assert [line for line in missing if line] == []


def test_the_real_loader_opens_the_real_libraries(host: Layout, gpudock: Product, cdi_engine: Engine) -> None:
    if host.name not in {"debian", "ubuntu"}:
        return  # their libraries have only the headers of real ones
    refresh(host, gpudock)
    reference = images.load(cdi_engine, "debian")
    done = gpudock.run(
        cdi_engine, "--gpus", "all", reference, "/probe", "libcuda.so.1", "libnvidia-ml.so.1", "--nvml", check=False
    )
    assert (
        f"libcuda.so.1 ok /usr/local/nvidia/lib64/libcuda.so.1 /usr/local/nvidia/lib64/libcuda.so.{host.version}"
        in done.stdout
    )
    assert f"libnvidia-ml.so.{host.version}" in done.stdout
    assert "nvml.init 9" in done.stdout  # NVML_ERROR_DRIVER_NOT_LOADED: it is NVIDIA's own library that speaks
