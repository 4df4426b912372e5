"""Compose files become what compose programs accept and engines start: the corpus, and containers that see their GPUs."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from real.harness import archive, docker_tree, engines, images, runtimes
from real.harness.commands import run
from real.harness.engines import Engine
from real.harness.product import Product, product
from real.harness.runtimes import Configured

pytestmark = pytest.mark.real

DATA = Path(__file__).parent.parent / "data/compose"
CASES: dict[str, dict[str, Any]] = json.loads((DATA / "cases.json").read_text())
GOOD = [name for name, case in CASES.items() if not case.get("refused")]
# What is written for a Docker without CDI has few shapes; which file gets which, the unit tests say of them all.
BY_RUNTIME = (
    "gpus-list",
    "runtime-nvidia-mapping",
    "runtime-in-env-file",
    "extends-file",
    "several-files",
    "merged-deploy",
)
LOADED = re.compile(r"(libcuda\.so\.1|libnvidia-ml\.so\.1) ok ")
LOOK = "ls /dev; /probe libcuda.so.1 libnvidia-ml.so.1 --nvml"

# Three shapes: compose's newest, an anchored reservation over two files, and what was written for nvidia-docker 2.
STARTED = {
    "gpus": (
        {
            "compose.yaml": """
services:
  job:
    image: ${IMAGE}
    NETWORK
    gpus: 1   # the first
    command: [sh, -c, "LOOK"]
"""
        },
        {"nvidia0"},
    ),
    "reservation": (
        {
            "base.yml": """
version: "3.8"
x-gpu: &gpu
  deploy:
    resources:
      reservations:
        devices:
          - driver: nvidia
            device_ids: ["1"]
            capabilities: [gpu]
services:
  job:
    <<: *gpu
    image: ${IMAGE}
    NETWORK
""",
            "more.yml": """
version: "3.8"
services:
  job:
    command: [sh, -c, "LOOK"]
""",
        },
        {"nvidia1"},
    ),
    "runtime": (
        {
            "docker-compose.yml": """
version: "2.4"
services:
  job:
    image: ${IMAGE}
    NETWORK
    runtime: nvidia
    environment:
      - NVIDIA_VISIBLE_DEVICES=all
    command: [sh, -c, "LOOK"]
"""
        },
        {"nvidia0", "nvidia1"},
    ),
}


@pytest.fixture(scope="module")
def gpudock(session_root: Path) -> Iterator[Product]:
    with product(session_root) as made:
        yield made


@pytest.fixture(scope="module")
def docker20_with(gpudock: Product, session_root: Path) -> Iterator[Configured]:
    with runtimes.docker(20, gpudock, session_root / "docker20-compose") as made:
        yield made


@pytest.fixture(params=("docker20", "docker28"))
def docker(request: pytest.FixtureRequest) -> Engine:
    if request.param == "docker28":
        found: Engine = request.getfixturevalue("docker28")
        return found
    configured: Configured = request.getfixturevalue("docker20_with")
    return configured.engine


@pytest.fixture(params=("docker20", "docker28", "podman"))
def engine(request: pytest.FixtureRequest) -> Engine:
    if request.param == "docker20":
        configured: Configured = request.getfixturevalue("docker20_with")
        return configured.engine
    found: Engine = request.getfixturevalue(request.param)
    return found


@pytest.fixture(autouse=True)
def programs() -> None:
    archive.installed(engines.compose()[0])
    archive.installed("podman-compose")


@pytest.fixture(autouse=True, scope="module")
def networks() -> Iterator[None]:
    """What podman's networks leave of themselves."""
    folders = [Path("/var/lib/cni"), Path("/run/cni")]
    new = [folder for folder in folders if not folder.exists()]
    yield
    for folder in new:
        shutil.rmtree(folder, ignore_errors=True)
    for left in Path("/var/lib/cni/networks").glob("gpudock-*_default"):
        shutil.rmtree(left)


def compose(
    gpudock: Product, engine: Engine, *words: str, check: bool = True, **variables: str
) -> subprocess.CompletedProcess[str]:
    if engine.name != "podman":
        return gpudock("compose", "--engine", "docker", *words, env={**engine.env, **variables}, check=check)
    # Its bridge and firewall rules go with a network namespace of their own.
    alone = ["unshare", "--net", sys.executable, "-m", "gpudock", "compose", "--engine", "podman", *words]
    return run(alone, env={**engine.env, **gpudock.env, **variables}, check=check)


def written(text: str, engine: Engine) -> str:
    """podman-compose 1.0.3 puts every container into the project's network, whatever the file says."""
    return text.replace("LOOK", LOOK).replace(
        "NETWORK", "tty: false" if engine.name == "podman" else "network_mode: none"
    )


def nodes(listing: str) -> set[str]:
    return set(re.findall(r"\bnvidia\d+\b", listing))


@pytest.mark.parametrize(
    ("docker", "name"),
    [*(("docker28", name) for name in GOOD), *(("docker20", name) for name in BY_RUNTIME)],
    indirect=["docker"],
)
def test_docker_compose_accepts_what_is_made(gpudock: Product, docker: Engine, tmp_path: Path, name: str) -> None:
    shutil.copytree(DATA / name, tmp_path / name)
    words = [str(tmp_path / name / word) if word.endswith(".yml") else word for word in CASES[name].get("words", ())]
    if not words:
        words = ["--project-directory", str(tmp_path / name)]
    done = compose(gpudock, docker, *words, "config", COMPOSE_PROFILES="gpu")  # compose 2 leaves out the others
    asks = {service for service, gpus in CASES[name]["gpus"].items() if gpus}
    way = "driver: cdi" if docker.name == "docker28" else "runtime: gpudock"
    assert done.stdout.count(way) >= len(asks) > 0
    relative = any("./" in path.read_text() for path in (tmp_path / name).rglob("*.y*ml"))
    assert not relative or str(tmp_path / name) in done.stdout


@pytest.mark.parametrize("way", ["several-files", "extends-file", "gpus-list", "merged-deploy", "own-extension"])
def test_compose_2_accepts_it_too(gpudock: Product, docker28: Engine, tmp_path: Path, way: str) -> None:
    with engines.with_plugin(docker28, docker_tree.COMPOSE) as engine:
        test_docker_compose_accepts_what_is_made(gpudock, engine, tmp_path, way)


def test_compose_2_starts_it(gpudock: Product, docker28: Engine, tmp_path: Path) -> None:
    with engines.with_plugin(docker28, docker_tree.COMPOSE) as engine:
        test_containers_see_their_gpus(gpudock, engine, tmp_path, "reservation")


# A Docker without CDI starts all of them in one way.
@pytest.mark.parametrize(
    ("engine", "shape"),
    [("docker20", "runtime"), *((name, shape) for name in ("docker28", "podman") for shape in STARTED)],
    indirect=["engine"],
)
def test_containers_see_their_gpus(gpudock: Product, engine: Engine, tmp_path: Path, shape: str) -> None:
    files, expected = STARTED[shape]
    for name, text in files.items():
        (tmp_path / name).write_text(written(text, engine))
    named = [word for name in files for word in ("-f", str(tmp_path / name))]
    image = images.load(engine, "tiny")
    before = {path: path.read_text() for path in tmp_path.iterdir()}
    try:
        done = compose(gpudock, engine, *named, "-p", f"gpudock-{shape}", "up", IMAGE=image)
        said = done.stdout + done.stderr
        assert nodes(said) == expected, said
        assert set(LOADED.findall(said)) == {"libcuda.so.1", "libnvidia-ml.so.1"}
        assert "SIMULATED" in done.stderr
        logs = compose(gpudock, engine, *named, "-p", f"gpudock-{shape}", "logs", IMAGE=image)
        assert nodes(logs.stdout + logs.stderr) == expected
    finally:
        compose(gpudock, engine, *named, "-p", f"gpudock-{shape}", "down", IMAGE=image)
    assert engine.run("ps", "--all", "--quiet").stdout == ""
    assert {path: path.read_text() for path in tmp_path.iterdir()} == before


def test_an_unknown_gpu_is_refused_before_anything_starts(gpudock: Product, engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "docker-compose.yml"
    file.write_text('version: "2.4"\nservices:\n  job:\n    image: none\n    gpus: device=9\n')
    done = compose(gpudock, engine, "-f", str(file), "up", check=False)
    assert done.returncode == 5
    assert f"{file}:5: service job" in done.stderr
    down = compose(gpudock, engine, "-f", str(file), "down", check=False)
    assert down.returncode == 0, down.stderr


def test_nvidia_docker_compose_needs_no_plugin(gpudock: Product, docker28: Engine, tmp_path: Path) -> None:
    image = images.load(docker28, "tiny")
    (tmp_path / "docker-compose.yml").write_text(
        f'version: "2"\nservices:\n  job:\n    image: {image}\n    network_mode: none\n    command: [sh, -c, "{LOOK}"]\n'
    )
    done = subprocess.run(
        [sys.executable, "-m", "gpudock.cli.nvidia_docker_compose", "run", "--rm", "job"],
        cwd=tmp_path,
        env={**docker28.env, **gpudock.env, "GPUDOCK_ENGINE": "docker"},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=120,
    )
    assert nodes(done.stdout) == {"nvidia0", "nvidia1"}, done.stderr
    assert "driver: cdi" in (tmp_path / "nvidia-docker-compose.yml").read_text()
