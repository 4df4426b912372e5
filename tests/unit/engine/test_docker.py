"""What docker says of itself, as recorded, and what is said when it does not."""

import json
from pathlib import Path

import pytest

from gpudock.engine.docker import Docker
from gpudock.engine.endpoint import Endpoint
from gpudock.errors import EngineError
from gpudock.proc import Result
from unit.engine.wishes import DOCKER, docker

RECORDED = Path(__file__).parents[2] / "data/engines"
NEW, OLD = ((RECORDED / f"docker-{version}.json").read_text() for version in ("28.5.2", "20.10.24"))
REFUSED = Result(1, "", "Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?\n")


def test_docker_28_has_cdi() -> None:
    found = DOCKER.understand(Result(0, NEW, ""))
    assert found.version == "28.5.2+dfsg4"
    assert found.cdi
    assert "/var/run/cdi" in found.cdi_folders
    assert not found.remote
    assert found.problem is None


def test_docker_20_has_none() -> None:
    found = DOCKER.understand(Result(0, OLD, ""))
    assert not found.cdi
    assert "runc" in found.runtimes


def test_another_kernel_is_another_machine() -> None:
    assert DOCKER._replace(kernel="5.15.0-1-generic").understand(Result(0, NEW, "")).remote


def test_an_engine_that_is_reached_by_ssh_is_elsewhere() -> None:
    there = DOCKER._replace(endpoint=Endpoint("ssh://lab"))
    assert there.understand(Result(0, NEW, "")).remote


def test_the_devices_that_docker_lists() -> None:
    listed = [{"Source": "cdi", "ID": "nvidia.com/gpu=0"}, {"Source": "cdi", "ID": "x/y=1"}, {"ID": 3}, None]
    answer = json.dumps({**json.loads(NEW), "DiscoveredDevices": listed})
    assert DOCKER.understand(Result(0, answer, "")).devices == ("nvidia.com/gpu=0", "x/y=1", "3")
    assert DOCKER.understand(Result(0, NEW, "")).devices == ()


def test_podmans_imitation_is_no_docker() -> None:
    with pytest.raises(EngineError, match="podman's imitation") as caught:
        DOCKER.understand(Result(0, '{"host": {"arch": "amd64"}, "version": {}}', ""))
    assert "--engine podman" in caught.value.mend


def test_a_docker_that_does_not_answer() -> None:
    problem = DOCKER.understand(REFUSED).problem
    assert problem is not None
    error = DOCKER.unusable(problem)
    assert error.what == "Docker is not running."
    assert "Is the docker daemon running?" in error.why
    assert error.mend == "sudo systemctl start docker, or use podman if it is here: --engine podman"


def test_a_docker_that_is_not_permitted() -> None:
    problem = "permission denied while trying to connect to the Docker daemon socket"
    error = DOCKER.unusable(problem)
    assert "You may not use docker" in error.what
    assert "usermod -aG docker" in error.mend


def test_a_rootless_docker_is_started_by_its_user() -> None:
    own = DOCKER._replace(endpoint=Endpoint("unix:///run/user/1000/none.sock"))
    assert "systemctl --user start docker" in own.unusable("no such file").mend


def test_a_docker_elsewhere_that_does_not_answer() -> None:
    error = Docker("docker", Endpoint("ssh://lab", ("--host", "ssh://lab")), {}, "6.1").unusable("no route to host")
    assert "ssh://lab" in error.what
    assert error.mend.endswith("docker --host ssh://lab info")


def test_why_there_is_no_way() -> None:
    old = DOCKER.without_mechanism(docker("20.10.24", cdi=False))
    assert "too old for CDI" in old.why
    assert "gpudock configure docker" in old.mend
    assert "podman" in old.mend
    off = DOCKER.without_mechanism(docker("27.0.3", cdi=False))
    assert "switched off" in off.what
    assert off.mend == "sudo gpudock configure docker --restart"
