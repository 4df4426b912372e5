"""Which engine is chosen, from what is installed and what was asked for."""

from collections.abc import Iterable, Mapping

import pytest

from gpudock.engine import detect
from gpudock.engine.detect import Machine
from gpudock.engine.endpoint import SOCKET, Files
from gpudock.errors import EngineError, UsageError

NOTHING = Files(lambda _: None, lambda _: [])


def machine(*programs: str, files: Iterable[str] = (SOCKET,), environment: Mapping[str, str] | None = None) -> Machine:
    places = {name: f"/usr/bin/{name}" for name in programs}
    return Machine(environment or {}, places.get, set(files).__contains__, NOTHING, "6.1", root=True)


def names(own: Mapping[str, str], where: Machine) -> list[str]:
    return [client.name for client in detect.clients(own, where)]


def test_docker_comes_before_podman_and_podman_catches_it() -> None:
    assert names({}, machine("docker", "podman")) == ["docker", "podman"]


def test_a_docker_without_a_socket_is_not_even_asked() -> None:
    assert names({}, machine("docker", "podman", files=())) == ["podman"]
    assert names({}, machine("docker", files=())) == ["docker"]  # it says itself that it is not running


def test_a_docker_that_was_set_up_for_the_user_is_meant() -> None:
    environment = {"DOCKER_HOST": "unix:///run/user/1000/docker.sock"}
    assert names({}, machine("docker", "podman", files=(), environment=environment)) == ["docker"]


@pytest.mark.parametrize("own", [{"engine": "podman"}, {}])
def test_the_engine_can_be_named(own: dict[str, str]) -> None:
    environment = {} if own else {"GPUDOCK_ENGINE": "podman"}
    assert names(own, machine("docker", "podman", environment=environment)) == ["podman"]


def test_the_flag_wins_over_the_variable() -> None:
    where = machine("docker", "podman", environment={"GPUDOCK_ENGINE": "podman"})
    assert names({"engine": "docker"}, where) == ["docker"]


def test_a_context_is_dockers() -> None:
    where = machine("docker", "podman")
    assert names({"host": "ssh://lab"}, where) == ["docker"]
    assert detect.clients({"host": "ssh://lab"}, where)[0].words == ("docker", "--host", "ssh://lab")
    with pytest.raises(UsageError, match="--context is docker's, but --engine asks for podman"):
        names({"engine": "podman", "context": "lab"}, where)
    with pytest.raises(EngineError, match="docker is not installed") as caught:
        names({"context": "lab"}, machine("podman"))
    assert "leave --context out" in caught.value.mend


def test_what_is_not_installed_is_said() -> None:
    with pytest.raises(EngineError, match="no container engine") as caught:
        names({}, machine())
    assert "apt-get install podman" in caught.value.mend
    with pytest.raises(EngineError, match="podman is not installed"):
        names({"engine": "podman"}, machine("docker"))
    with pytest.raises(UsageError, match="GPUDOCK_ENGINE lxc is not an engine"):
        names({}, machine("docker", environment={"GPUDOCK_ENGINE": "lxc"}))


def test_this_machine_looks_along_the_path(tmp_path: object) -> None:
    found = detect.this_machine({"PATH": f"{tmp_path}:/bin:/usr/bin"})
    assert found.program("sh") in {"/bin/sh", "/usr/bin/sh"}
    assert found.program("no-such-program") is None
    assert detect.this_machine({"PATH": str(tmp_path)}).program("sh") is None
    assert found.files.text(f"{tmp_path}/none") is None
    assert found.files.names(f"{tmp_path}/none") == []
