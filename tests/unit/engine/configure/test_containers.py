"""Containers that name a runtime."""

import json
from pathlib import Path

import pytest

from gpudock.engine import endpoint
from gpudock.engine.configure import containers
from gpudock.engine.configure.containers import Container
from gpudock.engine.docker import Docker
from gpudock.errors import EngineError, RefusedError
from gpudock.proc import Result
from unit.recorded import Recorder

DOCKER = Docker("/usr/bin/docker", endpoint.Endpoint(endpoint.LOCAL), {}, "6.1")


def test_docker_is_asked_for_all_of_them() -> None:
    told = "/train\tgpudock\texited\n/web\trunc\trunning\n"
    recorder = Recorder(
        {("docker", "ps"): "aa\nbb\n", ("docker", "container", "inspect"): Result(1, told, "No such: cc")}
    )
    assert containers.of_docker(DOCKER, recorder) == (
        Container("train", "gpudock", "exited"),
        Container("web", "runc", "running"),
    )
    assert "--all" in recorder.asked[0].argv
    assert recorder.asked[1].argv[-2:] == ("aa", "bb")


def test_none_is_not_asked_about() -> None:
    assert containers.of_podman(Recorder({("podman", "ps"): ""})) == ()


def test_silence_is_an_error_and_not_an_empty_list() -> None:
    with pytest.raises(EngineError) as told:
        containers.of_podman(Recorder({("podman", "ps"): Result(125, "", "database is locked\n")}))
    assert told.value.why == "database is locked"


def test_a_docker_that_does_not_run_has_left_them_on_disk(tmp_path: Path) -> None:
    for folder, name, runtime in (("containers/aa", "/train", "gpudock"), ("1000.1000/containers/bb", "/web", "runc")):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "hostconfig.json").write_text(json.dumps({"Runtime": runtime}))
        (tmp_path / folder / "config.v2.json").write_text(json.dumps({"Name": name}))
    found = containers.of_folder(str(tmp_path))
    assert {(each.name, each.runtime) for each in found} == {("train", "gpudock"), ("web", "runc")}


def test_those_that_name_it_are_told_with_the_way_out() -> None:
    some = [Container(f"c{n}", "gpudock", "exited") for n in range(10)] + [Container("web", "runc", "running")]
    with pytest.raises(RefusedError) as told:
        containers.refuse(some, ("gpudock",), "docker rm NAME", "or else")
    assert told.value.what.startswith("10 containers name the runtime gpudock")
    assert "c0 (exited)" in told.value.why
    assert "and 2 more" in told.value.why
    assert "web" not in told.value.why
    assert told.value.mend == "remove them first (docker rm NAME); or else"
    containers.refuse(some, ("nvidia",), "", "")
