"""What another machine would run, from its snapshot alone."""

from pathlib import Path

import msgspec
import pytest

from gpudock.engine.replay import replay
from gpudock.errors import EngineError, GpudockError, HostError, RefusedError, UsageError
from gpudock.facts.base import Missing
from gpudock.facts.engine import CdiSpecFile, Engine
from gpudock.facts.snapshot import Snapshot
from unit import machines
from unit.engine.wishes import wish

DOCKER = Engine("docker", "/usr/bin/docker", "28.5.2", cdi=True, cdi_folders=("/etc/cdi", "/var/run/cdi"))
OLD = Engine("docker", "/usr/bin/docker", "20.10.24", cdi=False, runtimes=("gpudock", "runc"))
PODMAN = Engine("podman", "/usr/bin/podman", "4.3.1", cdi=True)


def machine(folder: Path, *engines: Engine, **more: object) -> Snapshot:
    taken = machines.snapshot(machines.whole(folder).files())
    return msgspec.structs.replace(taken, engines=engines, **more)


def test_the_engine_and_the_devices_are_those_of_the_snapshot(tmp_path: Path) -> None:
    there = machine(tmp_path, PODMAN, DOCKER)
    argv, notes = replay(there, wish("--rm", "--gpus", "device=1", "image", "sh"))
    assert argv == ("docker", "run", "--rm", "--device", "nvidia.com/gpu=1.compute.utility", "image", "sh")
    assert "what it requires of the driver was not looked at" in notes[0]
    assert replay(there, wish("--engine", "podman", "--gpus", "none", "image"))[0] == ("podman", "run", "image")


def test_a_docker_without_cdi_is_told_by_its_runtime(tmp_path: Path) -> None:
    argv, _ = replay(machine(tmp_path, OLD), wish("--gpus", "1", "image"))
    assert argv[2:6] == ("--runtime", "gpudock", "-e", f"NVIDIA_VISIBLE_DEVICES={machines.uuid('GPU', 0)}")


def test_capabilities_that_are_asked_for_are_there(tmp_path: Path) -> None:
    asked = '"device=0","capabilities=display,utility"'
    argv, _ = replay(machine(tmp_path, DOCKER), wish("--gpus", asked, "image"))
    assert "nvidia.com/gpu=0.utility.display" in argv


def test_somebody_elses_specification_gives_its_names(tmp_path: Path) -> None:
    spec = CdiSpecFile("/etc/cdi/nvidia.yaml", "nvidia.com/gpu", "0.5.0", ("0", "1", "all"))
    argv, _ = replay(machine(tmp_path, DOCKER, cdi_specs=(spec,)), wish("--gpus", "all", "image"))
    assert argv == ("docker", "run", "--device", "nvidia.com/gpu=all", "image")
    ours = CdiSpecFile("/var/run/cdi/gpudock.json", "nvidia.com/gpu", "0.5.0", ("0",), plan="ab")
    argv, _ = replay(machine(tmp_path / "other", DOCKER, cdi_specs=(spec, ours)), wish("--gpus", "all", "image"))
    assert "nvidia.com/gpu=all.compute.utility" in argv


@pytest.mark.parametrize(
    ("engines", "words", "error", "said"),
    [
        ((DOCKER,), ("--gpus", "device=7"), RefusedError, "7, which this machine does not have"),
        ((DOCKER,), ("--engine", "podman", "--gpus", "all"), EngineError, "knows no podman"),
        ((DOCKER,), ("--engine", "lxc", "--gpus", "all"), UsageError, "not an engine"),
        ((), ("--gpus", "all"), EngineError, "knows no docker and no podman"),
        (
            (msgspec.structs.replace(DOCKER, problem="permission denied"),),
            ("--gpus", "all"),
            EngineError,
            "docker was not usable there",
        ),
    ],
)
def test_errors_are_those_of_that_machine(
    tmp_path: Path, engines: tuple[Engine, ...], words: tuple[str, ...], error: type[GpudockError], said: str
) -> None:
    with pytest.raises(error) as caught:
        replay(machine(tmp_path, *engines), wish(*words, "image"))
    assert said in caught.value.what


def test_a_machine_without_a_driver_says_so(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="No NVIDIA driver"):
        replay(
            msgspec.structs.replace(
                machine(tmp_path, DOCKER),
                driver=Missing("not found"),
                kernel_driver=msgspec.structs.replace(
                    machines.snapshot(Missing("")).kernel_driver, version=Missing("-")
                ),
            ),
            wish("--gpus", "all", "image"),
        )
