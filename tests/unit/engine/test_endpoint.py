"""Which docker is reached: flags, variables, contexts, in the precedence of docker's own client."""

import json

import pytest

from gpudock.engine.endpoint import LOCAL, Endpoint, Files, docker, podman, ssh
from gpudock.errors import InputError, UsageError

HOME = {"HOME": "/home/u"}
CONFIG = "/home/u/.docker/config.json"
META = "/home/u/.docker/contexts/meta"


def files(**contents: str) -> Files:
    """config: text of config.json; any other name: the address of a context of that name."""
    config = contents.pop("config", None)
    texts = {} if config is None else {CONFIG: config}
    for number, (name, address) in enumerate(contents.items()):
        meta = {"Name": name, "Endpoints": {"docker": {"Host": address}}}
        texts[f"{META}/{number}/meta.json"] = json.dumps(meta)
    return Files(texts.get, lambda folder: [str(number) for number in range(len(contents))] if folder == META else [])


def test_without_anything_it_is_the_usual_socket() -> None:
    found = docker({}, HOME, files())
    assert found == Endpoint(LOCAL)
    assert found.socket == "/var/run/docker.sock"


def test_a_flag_wins_over_everything() -> None:
    environment = HOME | {"DOCKER_HOST": "tcp://b", "DOCKER_CONTEXT": "lab"}
    assert docker({"host": "ssh://a"}, environment, files()) == Endpoint("ssh://a", ("--host", "ssh://a"))
    found = docker({"context": "lab"}, environment, files(lab="ssh://lab"))
    assert found == Endpoint("ssh://lab", ("--context", "lab"), "lab")
    assert docker({"context": "default"}, HOME, files()) == Endpoint(LOCAL, ("--context", "default"))


def test_docker_host_wins_over_contexts() -> None:
    environment = HOME | {"DOCKER_HOST": "unix:///run/user/1000/docker.sock", "DOCKER_CONTEXT": "lab"}
    found = docker({}, environment, files(config='{"currentContext": "lab"}'))
    assert found.socket == "/run/user/1000/docker.sock"


def test_the_variable_wins_over_the_current_context() -> None:
    contexts = files(config='{"currentContext": "one"}', one="tcp://one", two="tcp://two")
    assert docker({}, HOME, contexts).address == "tcp://one"
    assert docker({}, HOME | {"DOCKER_CONTEXT": "two"}, contexts).address == "tcp://two"
    assert docker({}, HOME | {"DOCKER_CONTEXT": "default"}, contexts).address == LOCAL


def test_docker_config_moves_the_folder() -> None:
    elsewhere = Files({"/c/config.json": '{"currentContext": "lab"}'}.get, lambda _: [])
    with pytest.raises(UsageError, match="docker has no context lab") as caught:
        docker({}, HOME | {"DOCKER_CONFIG": "/c"}, elsewhere)
    assert "/c/contexts/meta" in caught.value.why


@pytest.mark.parametrize(("given", "address"), [("1.2.3.4:2375", "tcp://1.2.3.4:2375"), ("unix://", LOCAL)])
def test_addresses_are_completed_as_docker_does(given: str, address: str) -> None:
    assert docker({"host": given}, HOME, files()).address == address


def test_only_a_unix_socket_is_local() -> None:
    assert Endpoint("tcp://127.0.0.1:2375").socket is None
    assert Endpoint("ssh://lab").socket is None


def test_two_engines_at_once_are_refused() -> None:
    with pytest.raises(UsageError, match="two engines"):
        docker({"host": "ssh://a", "context": "b"}, HOME, files())


def test_a_broken_configuration_is_named() -> None:
    with pytest.raises(InputError, match=r"config\.json is not JSON"):
        docker({}, HOME, files(config="{"))
    assert docker({}, HOME, files(config="[]")).address == LOCAL
    assert docker({}, HOME, files(config='{"currentContext": 3}')).address == LOCAL


def test_podman_has_a_server_only_when_told_of_one() -> None:
    assert podman({}).socket is not None
    assert podman({"CONTAINER_HOST": "ssh://core@box/run/podman.sock"}).socket is None
    assert podman({"CONTAINER_CONNECTION": "box"}).context == "box"


def test_the_way_by_ssh() -> None:
    assert ssh("tcp://lab") is None
    assert ssh("ssh://lab") == ("ssh", "-o", "BatchMode=yes", "--", "lab")
    assert ssh("ssh://me@lab:2222/var/run/docker.sock") == (
        *("ssh", "-o", "BatchMode=yes", "-p", "2222", "--", "me@lab"),
    )
    found = ssh("ssh://-oProxyCommand=evil")
    assert found is not None
    assert found[-2:] == ("--", "-oProxyCommand=evil")  # a host name, never an option
