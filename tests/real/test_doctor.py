"""The doctor on a machine with both engines, on containers that lose their GPUs, and on images; and verify on each
engine. GPUs are simulated. On a driver that hangs: bench/doctor.py, and test_nvml_child.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from real.harness import device_rules, images
from real.harness.engines import Engine
from real.harness.product import SPEC, Product, product

pytestmark = pytest.mark.real

NVIDIA = 195  # major of its nodes
SITE = "/usr/lib/python3/dist-packages"


@pytest.fixture(scope="module")
def gpudock(session_root: Path) -> Iterator[Product]:
    with product(session_root) as made:
        yield made


@pytest.fixture
def both(podman: Engine, docker28: Engine) -> dict[str, str]:
    """The environment of a user who finds both engines."""
    path = f"{docker28.env['PATH'].split(':')[0]}:{podman.env['PATH']}"
    return {**podman.env, "DOCKER_HOST": docker28.env["DOCKER_HOST"], "PATH": path}


def found(gpudock: Product, env: dict[str, str], *words: str) -> dict[str, list[str]]:
    """What the doctor finds: id -> evidence."""
    done = gpudock("doctor", "--json", *words, env=env, check=False)
    told: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == told["exit_code"], done.stderr
    return {finding["id"]: finding["evidence"] for finding in told["findings"]}


def test_nothing_is_wrong_with_a_healthy_machine_of_two_engines(gpudock: Product, both: dict[str, str]) -> None:
    assert found(gpudock, both) == {}
    done = gpudock("doctor", env=both)
    assert done.stdout.startswith("Nothing is wrong: ")
    assert "SIMULATED" in done.stderr


def test_a_container_that_lost_its_gpus_is_found(gpudock: Product, docker28: Engine) -> None:
    """As systemctl daemon-reload does it: the control group forbids what it allowed."""
    name = ("--name", "gpudock-lost")
    gpudock.run(docker28, "-d", *name, "--gpus", "all", images.load(docker28, "tiny"), "/bin/sleep", "100")
    try:
        assert found(gpudock, docker28.env, "--container", "gpudock-lost") == {}
        shown = gpudock("doctor", "--container", "gpudock-lost", env=docker28.env).stdout
        assert "/dev/nvidia0, /dev/nvidia1, /dev/nvidiactl" in shown.replace(
            "/dev/nvidia-uvm, /dev/nvidia-uvm-tools, ", ""
        )
        pid = int(docker28.run("inspect", "--format", "{{.State.Pid}}", "gpudock-lost").stdout)
        before = (device_rules.group(pid) / "cgroup.procs").read_text()
        device_rules.forbid(pid, NVIDIA)
        (lost,) = found(gpudock, docker28.env)["container-lost-gpu"]
        assert lost.startswith("gpudock-lost (docker) may not open /dev/nvidia")
        assert (device_rules.group(pid) / "cgroup.procs").read_text() == before
    finally:
        docker28.run("rm", "--force", "gpudock-lost", check=False)


def test_a_safe_fix_is_shown_and_applied(gpudock: Product, both: dict[str, str]) -> None:
    os.chmod(SPEC, 0o600)
    try:
        asked = gpudock("doctor", "--fix", env=both, check=False)
        assert asked.returncode == 1
        assert f"chmod a+r -- {SPEC}" in asked.stdout
        assert f"to take it back: sudo chmod 600 {SPEC}" in asked.stdout
        assert "nothing was changed" in asked.stderr
        assert os.stat(SPEC).st_mode & 0o777 == 0o600
        done = gpudock("doctor", "--fix", "--yes", env=both)
        assert "Nothing is wrong" in done.stdout
        assert os.stat(SPEC).st_mode & 0o777 == 0o644
    finally:
        os.chmod(SPEC, 0o644)


def test_privileged_containers_have_all(gpudock: Product, podman: Engine) -> None:
    podman.run(
        "run", "-d", "--name", "gpudock-all", "--privileged", images.load(podman, "busybox"), "/bin/sleep", "100"
    )
    try:
        assert "container-lost-gpu" not in found(gpudock, podman.env)
    finally:
        podman.run("rm", "--force", "--time", "0", "gpudock-all", check=False)


def test_what_is_in_an_image(gpudock: Product, docker28: Engine) -> None:
    base = images.load(docker28, "busybox", env={"CUDA_VERSION": "12.4.1", "NVIDIA_REQUIRE_CUDA": "cuda>=99.0"})
    script = (
        f"mkdir -p {SITE}/torch-2.4.1+cu124.dist-info {SITE}/jax-0.4.30.dist-info /usr/lib/x86_64-linux-gnu;"
        f"echo x > {SITE}/torch-2.4.1+cu124.dist-info/METADATA; echo x > {SITE}/jax-0.4.30.dist-info/METADATA;"
        "echo x > /usr/lib/x86_64-linux-gnu/libcuda.so.535.104.05"
    )
    steps = ((base, script), ("localhost/gpudock-looked:1", f"rm -r {SITE}/jax-0.4.30.dist-info"))
    try:
        for number, (image, command) in enumerate(steps, start=1):
            docker28.run("run", "--name", "gpudock-step", "--network", "none", image, "/bin/sh", "-c", command)
            docker28.run("commit", "gpudock-step", f"localhost/gpudock-looked:{number}")
            docker28.run("rm", "gpudock-step")
        done = gpudock("doctor", "--image", "localhost/gpudock-looked:2", env=docker28.env, check=False)
        assert "3 layers, no code of it was run" in done.stdout
        assert "CUDA     12.4.1" in done.stdout
        assert "PyTorch  2.4.1+cu124" in done.stdout
        assert "JAX" not in done.stdout
        wrong = found(gpudock, docker28.env, "--image", "localhost/gpudock-looked:2")
        assert {*wrong} == {"image-driver", "image-requirement"}
        assert "libcuda.so.535.104.05" in wrong["image-driver"][0]
    finally:
        docker28.run("rm", "--force", "gpudock-step", check=False)
        docker28.run("rmi", "--force", "localhost/gpudock-looked:1", "localhost/gpudock-looked:2", check=False)


def test_an_image_that_is_not_there(gpudock: Product, docker28: Engine) -> None:
    done = gpudock("doctor", "--image", "localhost/nobody:1", env=docker28.env, check=False)
    assert done.returncode == 6
    assert "docker pull localhost/nobody:1" in done.stderr


def test_verify_on_every_engine(gpudock: Product, both: dict[str, str], podman: Engine, docker28: Engine) -> None:
    done = gpudock("verify", "--json", env=both)
    told = json.loads(done.stdout)
    assert [each["engine"].split()[0] for each in told] == ["docker", "podman"]
    for each in told:
        steps = {step["what"]: (step["ok"], step["says"]) for step in each["steps"]}
        assert steps == {
            "devices": (True, "2 GPUs, 5 nodes"),
            "libraries": (True, "libnvidia-ml and libcuda load and answer"),
            "versions": (True, "driver 580.159.04, CUDA 13.0, the same GPUs as outside"),
            "computation": (None, "not possible on simulated GPUs"),
        }
    for engine in (podman, docker28):
        assert "gpudock-verify" not in engine.run("images").stdout


def test_verify_says_what_the_hook_says(gpudock: Product, both: dict[str, str]) -> None:
    """The engines start the container, and our hook refuses: its files can be changed by others than root."""
    program = (gpudock.folder / "libexec/current").resolve()
    os.chmod(program, 0o777)
    try:
        done = gpudock("verify", "--json", env=both, check=False)
    finally:
        os.chmod(program, 0o755)
    assert done.returncode == 4
    for each in json.loads(done.stdout):
        ((what, ok, says),) = ((step["what"], step["ok"], step["says"]) for step in each["steps"])
        assert (what, ok) == ("container", False)
        assert says.startswith("gpudock: "), each
        assert "it can be changed by others than root" in says, each
