"""The main job: containers get the GPUs that were asked for, with the driver, in every kind of image, on every engine."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from real.harness import images
from real.harness.engines import Engine
from real.harness.product import Product, product

pytestmark = pytest.mark.real

DRIVER = "580.159.04"
NEWER = "590.10"
LOADED = re.compile(r"^(\S+) ok ", re.MULTILINE)


@pytest.fixture(scope="module")
def gpudock(session_root: Path) -> Iterator[Product]:
    with product(session_root) as made:
        yield made


@pytest.fixture
def fresh(gpudock: Product) -> Product:
    """For tests that change the simulated machine: every one starts from two H200 of the same driver."""
    gpudock.simulate()
    gpudock.refresh()
    return gpudock


def gpu_nodes(listing: str) -> set[str]:
    return set(re.findall(r"\bnvidia\d+\b", listing))


@pytest.mark.parametrize("image", images.WITH_PROBE)
def test_any_image_loads_the_driver_without_help(gpudock: Product, cdi_engine: Engine, image: str) -> None:
    reference = images.load(cdi_engine, image)
    script = "/probe libcuda.so.1 libnvidia-ml.so.1 --nvml --cuda; echo path=$LD_LIBRARY_PATH; ls /dev"
    done = gpudock.run(cdi_engine, "--gpus", "1", reference, "/bin/sh", "-c", script)
    assert LOADED.findall(done.stdout) == ["libcuda.so.1", "libnvidia-ml.so.1"]
    assert f"nvml.driver {DRIVER}" in done.stdout
    assert "nvml.count 1" in done.stdout
    assert "path=\n" in done.stdout
    assert gpu_nodes(done.stdout) == {"nvidia0"}


@pytest.mark.parametrize(
    ("asked", "nodes"),
    [
        ("all", {"nvidia0", "nvidia1"}),
        ("2", {"nvidia0", "nvidia1"}),
        ("device=1", {"nvidia1"}),
        ("device=1,0", {"nvidia0", "nvidia1"}),
        ('"device=0","capabilities=compute,utility"', {"nvidia0"}),
    ],
)
def test_only_the_gpus_asked_for_are_there(gpudock: Product, cdi_engine: Engine, asked: str, nodes: set[str]) -> None:
    reference = images.load(cdi_engine, "tiny")
    done = gpudock.run(cdi_engine, "--gpus", asked, reference, "/bin/sh", "-c", "ls /dev; nvidia-smi -L")
    assert gpu_nodes(done.stdout) == nodes
    assert done.stdout.count("GPU-") == len(nodes)
    assert "SIMULATED" in done.stderr


def test_utility_alone_brings_no_cuda(gpudock: Product, cdi_engine: Engine) -> None:
    reference = images.load(cdi_engine, "tiny")
    asked = '"device=0","capabilities=utility"'
    script = "/probe libnvidia-ml.so.1 libcuda.so.1; ls /dev /usr/local/nvidia/lib64"
    done = gpudock.run(cdi_engine, "--gpus", asked, reference, "/bin/sh", "-c", script)
    assert LOADED.findall(done.stdout) == ["libnvidia-ml.so.1"]
    assert "libcuda" not in done.stdout.split("libcuda.so.1 fail", 1)[1].split("\n", 1)[1]
    assert "nvidia-uvm" not in done.stdout


def test_the_image_says_which_capabilities_it_wants(gpudock: Product, cdi_engine: Engine) -> None:
    reference = images.load(cdi_engine, "tiny", env={"NVIDIA_DRIVER_CAPABILITIES": "utility"})
    done = gpudock.run(
        cdi_engine, "--gpus", "all", reference, "/probe", "libnvidia-ml.so.1", "libcuda.so.1", check=False
    )
    assert LOADED.findall(done.stdout) == ["libnvidia-ml.so.1"]


def test_a_static_image_gets_devices_and_driver_too(gpudock: Product, cdi_engine: Engine) -> None:
    reference = images.load(cdi_engine, "busybox")
    done = gpudock.run(cdi_engine, "--gpus", "all", reference, "ls", "/dev", "/usr/local/nvidia/lib64", "/etc")
    assert gpu_nodes(done.stdout) == {"nvidia0", "nvidia1"}
    assert "libcuda.so.1" in done.stdout
    assert "ld.so" not in done.stdout  # nothing there reads a linker cache


def test_an_unmet_requirement_is_refused_before_anything_starts(gpudock: Product, cdi_engine: Engine) -> None:
    reference = images.load(cdi_engine, "tiny", env={"NVIDIA_REQUIRE_CUDA": "cuda>=99.0"})
    done = gpudock.run(cdi_engine, "--gpus", "all", reference, "echo", "started", check=False)
    assert done.returncode == 5
    assert "99.0" in done.stderr
    assert "started" not in done.stdout
    forced = gpudock.run(cdi_engine, "--gpus", "all", "-e", "NVIDIA_DISABLE_REQUIRE=1", reference, "echo", "started")
    assert "started" in forced.stdout


def test_an_unknown_gpu_is_refused_naming_those_that_exist(gpudock: Product, cdi_engine: Engine) -> None:
    reference = images.load(cdi_engine, "tiny")
    done = gpudock.run(cdi_engine, "--gpus", "device=7", reference, "true", check=False)
    assert done.returncode == 5
    assert "7" in done.stderr
    assert "mend:" in done.stderr


def test_exit_code_and_arguments_are_the_engines_own(gpudock: Product, cdi_engine: Engine) -> None:
    reference = images.load(cdi_engine, "tiny")
    done = gpudock.run(
        cdi_engine, "--gpus", "1", "-e", "A=b c", reference, "/bin/sh", "-c", 'echo "$A"; exit 7', check=False
    )
    assert (done.returncode, done.stdout) == (7, "b c\n")


def test_docker_without_cdi_gets_one_clear_error(gpudock: Product, docker20: Engine) -> None:
    reference = images.load(docker20, "tiny")
    done = gpudock.run(docker20, "--gpus", "all", reference, "true", check=False)
    assert done.returncode == 6
    assert "20.10" in done.stderr
    assert "mend:" in done.stderr
    assert "Traceback" not in done.stderr
    plain = gpudock.run(docker20, reference, "echo", "without GPUs it is docker")
    assert plain.stdout == "without GPUs it is docker\n"


def test_mig_instances_by_index(fresh: Product, cdi_engine: Engine) -> None:
    fresh.simulate("--gpus", "1", "--mig", "3g.71gb,1g.18gb")
    fresh.refresh()
    reference = images.load(cdi_engine, "tiny")
    done = fresh.run(
        cdi_engine, "--gpus", "device=0:1", reference, "/bin/sh", "-c", "ls /dev/nvidia-caps; nvidia-smi -L"
    )
    assert done.stdout.count("MIG-") == 1
    assert len(re.findall(r"^nvidia-cap\d+$", done.stdout, re.MULTILINE)) == 2
    refused = fresh.run(cdi_engine, "--gpus", "device=0", reference, "true", check=False)
    assert refused.returncode == 5
    assert "0:0" in refused.stderr
    assert "0:1" in refused.stderr


def driver_files(listing: str) -> set[str]:
    return set(re.findall(r"\.so\.(\d{3}\.[\d.]+)", listing))


def test_stop_upgrade_start_sees_one_version(fresh: Product, cdi_engine: Engine) -> None:
    reference = images.load(cdi_engine, "tiny")
    look = "find / -xdev -name 'lib*nvidia*' -o -xdev -name 'libcuda*'; ls -la /usr/local/nvidia/lib64; nvidia-smi"
    made = fresh(
        *("create", "--engine", "podman" if cdi_engine.name == "podman" else "docker", "--gpus", "all"),
        *("--network", "none", "--name", "upgraded", reference, "/bin/sh", "-c", look),
        env=cdi_engine.env,
    )
    assert made.returncode == 0
    first = cdi_engine.run("start", "--attach", "upgraded")
    assert driver_files(first.stdout) == {DRIVER}
    fresh("simulate", "upgrade", str(fresh.gpus), NEWER)
    stale = cdi_engine.run("start", "--attach", "upgraded", check=False)
    assert stale.returncode != 0  # never half a driver: the hook refuses what no longer fits
    assert "sudo gpudock refresh" in stale.stdout + stale.stderr
    fresh.refresh()
    second = cdi_engine.run("start", "--attach", "upgraded")
    assert driver_files(second.stdout) == {NEWER}
    cdi_engine.run("rm", "--force", "upgraded")


def test_a_committed_image_holds_no_driver(fresh: Product, cdi_engine: Engine) -> None:
    reference = images.load(cdi_engine, "tiny")
    engine_name = "podman" if cdi_engine.name == "podman" else "docker"
    fresh(
        *("run", "--engine", engine_name, "--gpus", "all", "--network", "none", "--name", "used"),
        *(reference, "/bin/sh", "-c", "nvidia-smi -L"),
        env=cdi_engine.env,
    )
    cdi_engine.run("commit", "used", "localhost/committed")
    cdi_engine.run("rm", "--force", "used")
    look = "find / -xdev -type f -size 0 | grep -E 'nvidia|cuda|vulkan|egl|OpenCL'; nvidia-smi -L; echo code=$?; ls /usr/local/nvidia"
    without = cdi_engine.run("run", "--rm", "--network", "none", "localhost/committed", "/bin/sh", "-c", look)
    assert without.stdout.splitlines() == ["code=127"]  # no empty file, no program, an empty folder
    fresh("simulate", "upgrade", str(fresh.gpus), NEWER)
    fresh.refresh()
    other = fresh.run(
        cdi_engine, "--gpus", "all", "localhost/committed", "/bin/sh", "-c", "nvidia-smi; /probe libcuda.so.1"
    )
    assert NEWER in other.stdout
    assert driver_files(other.stdout) == {NEWER}
    cdi_engine.run("rmi", "localhost/committed")


def test_a_volume_over_etc_without_a_cache_is_refused_and_untouched(
    gpudock: Product, cdi_engine: Engine, tmp_path: Path
) -> None:
    volume = tmp_path / "etc"
    volume.mkdir()
    (volume / "mine").write_bytes(b"mine")
    before = hashlib.sha256(Path("/etc/ld.so.cache").read_bytes()).hexdigest()
    reference = images.load(cdi_engine, "tiny")
    done = gpudock.run(cdi_engine, "--gpus", "all", "-v", f"{volume}:/etc", reference, "true", check=False)
    assert done.returncode != 0
    assert "/etc" in done.stderr
    assert "volume" in done.stderr
    assert sorted(
        path.name for path in volume.iterdir() if not path.name.startswith(("hosts", "resolv", "hostname"))
    ) == ["mine"]
    assert (volume / "mine").read_bytes() == b"mine"
    assert hashlib.sha256(Path("/etc/ld.so.cache").read_bytes()).hexdigest() == before


def test_a_read_only_container_works(gpudock: Product, cdi_engine: Engine) -> None:
    reference = images.load(cdi_engine, "tiny")
    done = gpudock.run(cdi_engine, "--gpus", "all", "--read-only", reference, "nvidia-smi", "-L")
    assert done.stdout.count("GPU ") == 2


def test_the_tree_cannot_be_changed_from_inside(gpudock: Product, cdi_engine: Engine) -> None:
    reference = images.load(cdi_engine, "tiny")
    script = "echo x > /usr/local/nvidia/lib64/libcuda.so.1; rm /usr/local/nvidia/bin/nvidia-smi; nvidia-smi -L"
    done = gpudock.run(cdi_engine, "--gpus", "all", reference, "/bin/sh", "-c", script)
    assert done.stdout.count("GPU ") == 2
    assert done.stderr.count("Read-only file system") == 2
