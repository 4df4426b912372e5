"""What a container says of its GPUs, held against the host; and the image that it is started from."""

import io
import json
import os
import tarfile
from typing import Any

import pytest

from gpudock.errors import HostError
from gpudock.facts.engine import Engine
from gpudock.proc import Command, Result
from gpudock.provision.verify import image, inside, run
from unit.provision import hosts

ENGINE = Engine(name="docker", program="/usr/bin/docker", version="28.5.2")
IMAGE = image.Image(b"tar", ("/usr/bin/python3", "/verify.py"))
UUID = "GPU-0cc352ac-c7ba-d67c-df19-77e0366c92fa"


def told(**changes: Any) -> str:
    right = {
        "nodes": ["/dev/nvidia-uvm", "/dev/nvidia0", "/dev/nvidiactl"],
        "nvml": {"driver": "580.159.04", "uuids": [UUID]},
        "cuda": {"cuda": "13.0", "gpus": [{"name": "NVIDIA H200", "milliseconds": 81.5}]},
    }
    return json.dumps({**right, **changes}) + "\n"


def verified(answer: Result, *, simulated: bool = False) -> tuple[dict[str, tuple[bool | None, str]], list[Command]]:
    asked: list[Command] = []

    def runner(command: Command) -> Result:
        asked.append(command)
        return answer if "gpudock" in command.argv else Result(0, "", "")

    machine = hosts.host({"roots.simulated": simulated})
    found = run.verify(ENGINE, machine, IMAGE, runner)
    return {step.what: (step.ok, step.says) for step in found.steps}, asked


def test_all_is_proved_and_the_image_goes_again() -> None:
    steps, asked = verified(Result(0, told(), ""))
    assert steps == {
        "devices": (True, "1 GPU, 3 nodes"),
        "libraries": (True, "libnvidia-ml and libcuda load and answer"),
        "versions": (True, "driver 580.159.04, CUDA 13.0, the same GPUs as outside"),
        "computation": (True, "GPU 0, NVIDIA H200: right, in 82 ms"),
    }
    assert [command.argv[1] for command in asked] == ["import", "-m", "rmi"]
    assert asked[1].argv[2:6] == ("gpudock", "run", "--engine", "docker")
    assert "none" in asked[1].argv


@pytest.mark.parametrize(
    ("changes", "what", "says"),
    [
        ({"nodes": ["/dev/nvidiactl"]}, "devices", "/dev/nvidia-uvm, /dev/nvidia0 not in the container"),
        ({"nvml": {"problem": "nvmlInit_v2 gave 999"}}, "libraries", "libnvidia-ml.so.1: nvmlInit_v2 gave 999"),
        ({"cuda": {"problem": "cuInit gave 999"}}, "libraries", "libcuda.so.1: cuInit gave 999"),
        ({"nvml": {"driver": "535.1", "uuids": [UUID]}}, "versions", "driver 535.1 inside, 580.159.04 outside"),
        ({"nvml": {"driver": "580.159.04", "uuids": []}}, "versions", "other GPUs inside: 0 of 1"),
        ({"cuda": {"cuda": "13.0", "gpus": []}}, "computation", "CUDA finds no GPU"),
        (
            {"cuda": {"cuda": "13.0", "gpus": [{"name": "x\x1b[2J", "problem": "cuModuleLoadData gave 218"}]}},
            "computation",
            "GPU 0, 'x\\x1b[2J': cuModuleLoadData gave 218",
        ),
    ],
)
def test_what_is_wrong(changes: dict[str, Any], what: str, says: str) -> None:
    steps, _ = verified(Result(0, told(**changes), ""))
    assert steps[what] == (False, says)


def test_simulated_gpus_prove_all_but_the_computation() -> None:
    steps, _ = verified(Result(0, told(), ""), simulated=True)
    assert steps["computation"] == (None, "not possible on simulated GPUs")
    assert all(ok is not False for ok, _ in steps.values())


DOCKER_28 = (
    "gpudock: SIMULATED GPUs: programs find a driver, but nothing computes.\n"
    "docker: Error response from daemon: failed to create task for container: failed to create shim task: OCI runtime "
    "create failed: runc create failed: unable to start container process: error during container init: error running "
    "createContainer hook #0: exit status 1, stdout: , stderr: {}\n\nRun 'docker run --help' for more information\n"
)
HOOK = "gpudock-hook: The start plan no longer fits this machine. The driver changed. sudo gpudock refresh"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Result(126, "", DOCKER_28.format(HOOK)), HOOK),
        (Result(126, "", f"{HOOK}\nError: OCI runtime error: crun: error executing hook\n"), f"{HOOK} Error: OCI"),
        (
            Result(6, "", "gpudock: docker cannot.\n  why:  it is old\n  mend: another\n"),
            "gpudock: docker cannot. why:  it is old mend: another",
        ),
        (Result(125, "", "docker: a\ndocker: no\x1b[2J\n"), "docker: a 'docker: no\\x1b[2J'"),
        (Result(126, "", f"{DOCKER_28.partition(chr(10))[0]}\nError: crun: no\n"), "Error: crun: no"),
        (Result(0, "[", ""), "exit code 0"),
    ],
)
def test_a_container_that_does_not_start(answer: Result, says: str) -> None:
    steps, asked = verified(answer)
    assert steps["container"][0] is False
    assert steps["container"][1].startswith(says)
    assert "docker run --help" not in steps["container"][1]
    assert asked[-1].argv[1] == "rmi"


def test_an_image_that_cannot_be_loaded() -> None:
    found = run.verify(ENGINE, hosts.host(), IMAGE, lambda _: Result(1, "", "no space left on device"))
    assert found.steps == (run.Step("image", ok=False, says="no space left on device"),)


def test_the_image_holds_what_the_interpreter_has_loaded() -> None:
    paths = {
        "executable": "/bin/sh",
        "files": [os.__file__, "frozen"],
        "maps": ["/bin/sh", "/gone"],
        "landmark": os.__file__,
    }
    made = image.make(lambda _: Result(0, json.dumps(paths), ""), "/usr/bin/python3")
    with tarfile.open(fileobj=io.BytesIO(made.tar)) as packed:
        names = packed.getnames()
        assert packed.extractfile("verify.py") is not None
    assert {"bin/sh", os.__file__.lstrip("/"), "verify.py", "dev", "proc"} <= {*names}
    assert any("ld-" in name for name in names)
    assert made.argv[-1] == image.PROGRAM


def test_an_interpreter_without_ctypes() -> None:
    with pytest.raises(HostError) as caught:
        image.make(lambda _: Result(1, "", "ModuleNotFoundError: No module named '_ctypes'"), "/usr/bin/python3")
    assert "_ctypes" in caught.value.why


def test_the_kernel_is_text_for_old_and_new_gpus() -> None:
    for target in (30, 50):
        text = inside.PTX % target
        assert f".target sm_{target}" in text
        assert "%%" not in text
        assert "%p" in text


def test_libraries_that_are_not_there_are_an_answer() -> None:
    assert inside.tried(lambda: inside.ctypes.CDLL("libnot-there.so.9")) == {  # type: ignore[attr-defined]
        "problem": "libnot-there.so.9: cannot open shared object file: No such file or directory"
    }
