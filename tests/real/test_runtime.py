"""The OCI runtime under real engines: who asks gets exactly that, who does not is left alone, and a refusal is read."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from real.harness import images, runtimes
from real.harness.engines import Engine
from real.harness.product import Product, product
from real.harness.runtimes import Configured

pytestmark = pytest.mark.real

DRIVER = "580.159.04"
LOADED = re.compile(r"^(\S+) ok ", re.MULTILINE)
BOTH = {"nvidia0", "nvidia1"}


@pytest.fixture(scope="module")
def gpudock(session_root: Path) -> Iterator[Product]:
    with product(session_root) as made:
        yield made


@pytest.fixture(scope="module")
def docker20_with(gpudock: Product, session_root: Path) -> Iterator[Configured]:
    with runtimes.docker(20, gpudock, session_root / "docker20-runtime") as made:
        yield made


@pytest.fixture(scope="module")
def docker28_with(gpudock: Product, session_root: Path) -> Iterator[Configured]:
    with runtimes.docker(28, gpudock, session_root / "docker28-runtime") as made:
        yield made


@pytest.fixture(scope="module")
def podman_with(gpudock: Product, podman: Engine) -> Configured:
    return runtimes.podman(gpudock, podman)


@pytest.fixture(params=("docker20", "docker28", "podman"))
def configured(request: pytest.FixtureRequest) -> Configured:
    made: Configured = request.getfixturevalue(f"{request.param}_with")
    return made


@pytest.fixture(params=("docker20", "docker28"))
def docker(request: pytest.FixtureRequest) -> Configured:
    made: Configured = request.getfixturevalue(f"{request.param}_with")
    return made


def gpu_nodes(listing: str) -> set[str]:
    return set(re.findall(r"\bnvidia\d+\b", listing))


@pytest.mark.parametrize(
    ("asked", "nodes"),
    [
        ("all", BOTH),
        ("0", {"nvidia0"}),
        (" 1 , 0 ", BOTH),
        ("0,0", {"nvidia0"}),
        ("none", set()),
        ("nvidia.com/gpu=1", {"nvidia1"}),
    ],
)
def test_the_variable_gives_what_it_names(configured: Configured, asked: str, nodes: set[str]) -> None:
    done = configured.run("-e", f"NVIDIA_VISIBLE_DEVICES={asked}")
    assert gpu_nodes(done.stdout) == nodes
    assert LOADED.findall(done.stdout) == ["libcuda.so.1", "libnvidia-ml.so.1"]
    assert "devices=void" in done.stdout
    assert f"nvml.driver {DRIVER}" in done.stdout


@pytest.mark.parametrize("asked", ["void", "", None])
def test_who_asks_for_nothing_is_left_alone(configured: Configured, asked: str | None) -> None:
    flags = () if asked is None else ("-e", f"NVIDIA_VISIBLE_DEVICES={asked}")
    done = configured.run(*flags, "--", "/bin/sh", "-c", "ls /dev; ls /usr/local; echo devices=$NVIDIA_VISIBLE_DEVICES")
    assert "nvidia" not in done.stdout
    assert f"devices={asked or ''}\n" in done.stdout


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"NVIDIA_VISIBLE_DEVICES": "7"}, ("NVIDIA_VISIBLE_DEVICES asks for 7", "ask for one of these")),
        ({"NVIDIA_VISIBLE_DEVICES": "none,all"}, ("NVIDIA_VISIBLE_DEVICES", "none,all", "give")),
        (
            {"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_REQUIRE_CUDA": "cuda>=99.0"},
            ("NVIDIA_REQUIRE_CUDA=cuda>=99.0", "CUDA at least 99", "newer NVIDIA driver", "NVIDIA_DISABLE_REQUIRE=1"),
        ),
        (
            {"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "compute,teleport"},
            ("NVIDIA_DRIVER_CAPABILITIES", "teleport"),
        ),
        ({"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_IMEX_CHANNELS": "0"}, ("NVIDIA_IMEX_CHANNELS=0", "imex")),
        ({"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_GDS": "enabled"}, ("NVIDIA_GDS=enabled", "gds")),
        (
            {"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_MIG_CONFIG_DEVICES": "all"},
            ("NVIDIA_MIG_CONFIG_DEVICES=all", "privileged"),
        ),
    ],
)
def test_a_refusal_reaches_the_user_of_docker_run(
    configured: Configured, env: dict[str, str], words: tuple[str, ...]
) -> None:
    flags = [word for name, value in env.items() for word in ("-e", f"{name}={value}")]
    done = configured.run(*flags, check=False)
    assert done.returncode not in {0, 127}
    for word in words:
        assert word in done.stderr, done.stderr


@pytest.mark.parametrize(
    ("wanted", "loaded"),
    [("utility", ["libnvidia-ml.so.1"]), ("all", ["libcuda.so.1", "libnvidia-ml.so.1"]), ("compute", ["libcuda.so.1"])],
)
def test_capabilities_are_honoured(docker20_with: Configured, gpudock: Product, wanted: str, loaded: list[str]) -> None:
    if wanted == "compute":  # no usual set, and this stage has no program in root's hands that could make it
        refused = docker20_with.run(
            "-e", "NVIDIA_VISIBLE_DEVICES=0", "-e", f"NVIDIA_DRIVER_CAPABILITIES={wanted}", check=False
        )
        assert f"sudo gpudock refresh --capabilities {wanted}" in refused.stderr
        gpudock.refresh("--capabilities", wanted)
    script = "for name in libcuda.so.1 libnvidia-ml.so.1; do /probe $name; done; true"
    flags = ("-e", "NVIDIA_VISIBLE_DEVICES=0", "-e", f"NVIDIA_DRIVER_CAPABILITIES={wanted}")
    done = docker20_with.run(*flags, "--", "/bin/sh", "-c", script)
    assert LOADED.findall(done.stdout) == loaded


def test_an_image_of_the_time_before_requirements_gets_all(configured: Configured) -> None:
    done = configured.run(env={"CUDA_VERSION": "8.0.61"})
    assert gpu_nodes(done.stdout) == BOTH


@pytest.mark.parametrize(("flag", "nodes"), [("all", BOTH), ("1", {"nvidia0"}), ("device=1", {"nvidia1"})])
def test_gpus_of_docker(docker: Configured, flag: str, nodes: set[str]) -> None:
    done = docker.run("--gpus", flag)
    assert gpu_nodes(done.stdout) == nodes
    assert LOADED.findall(done.stdout) == ["libcuda.so.1", "libnvidia-ml.so.1"]


def test_gpus_of_docker_under_another_runtime_says_what_to_do(docker: Configured) -> None:
    reference = images.load(docker.engine, "tiny")
    done = docker.engine.run("run", "--rm", "--network", "none", "--gpus", "all", reference, "/bin/true", check=False)
    assert done.returncode != 0
    assert "docker run --runtime gpudock --gpus" in done.stderr


@pytest.mark.parametrize(
    "flags", [("--read-only",), ("--cap-add", "SYS_ADMIN"), ("--user", "1000:1000"), ("--cap-drop", "ALL")]
)
def test_ways_to_run_a_container(configured: Configured, flags: tuple[str, ...]) -> None:
    done = configured.run("-e", "NVIDIA_VISIBLE_DEVICES=0", *flags)
    assert gpu_nodes(done.stdout) >= {"nvidia0"}
    assert LOADED.findall(done.stdout) == ["libcuda.so.1", "libnvidia-ml.so.1"]


def test_a_privileged_container(request: pytest.FixtureRequest) -> None:
    """Docker 20.10 asks for every capability that it knows, and a machine may withhold some."""
    for name in ("docker28_with", "podman_with"):
        configured: Configured = request.getfixturevalue(name)
        done = configured.run("-e", "NVIDIA_VISIBLE_DEVICES=0", "--privileged")
        assert "nvidia0" in gpu_nodes(done.stdout)
        assert LOADED.findall(done.stdout) == ["libcuda.so.1", "libnvidia-ml.so.1"]


@pytest.mark.parametrize("image", images.WITH_PROBE)
def test_any_image(configured: Configured, image: str) -> None:
    done = configured.run("-e", "NVIDIA_VISIBLE_DEVICES=0", image=image)
    assert LOADED.findall(done.stdout) == ["libcuda.so.1", "libnvidia-ml.so.1"]


def test_a_stopped_container_starts_again_with_its_gpus(configured: Configured) -> None:
    reference = images.load(configured.engine, "tiny")
    name = "gpudock-again"
    flags = (*configured.flags, "--name", name, "--network", "none", "-e", "NVIDIA_VISIBLE_DEVICES=1")
    configured.engine.run("create", *flags, reference, "/bin/sh", "-c", "ls /dev; grep -c nvidia /proc/mounts")
    try:
        first = configured.engine.run("start", "--attach", name).stdout
        assert gpu_nodes(first) == {"nvidia1"}
        assert configured.engine.run("start", "--attach", name).stdout == first
    finally:
        configured.engine.run("rm", "--force", name)
