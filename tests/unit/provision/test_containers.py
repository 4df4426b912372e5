"""Which containers the doctor looks at."""

from typing import Any

import msgspec
import pytest

from gpudock.engine.containers import Container, Limits
from gpudock.engine.docker import Docker
from gpudock.engine.endpoint import Endpoint
from gpudock.engine.podman import Podman
from gpudock.facts.engine import Engine
from gpudock.proc import Command, Result
from gpudock.provision import doctor
from gpudock.provision.probe import containers as probe
from gpudock.provision.probe.containers import LOOKED_AT, chosen
from unit.provision import hosts


def container(name: str, **changed: Any) -> Container:
    values: dict[str, Any] = dict.fromkeys(Container._fields, "")
    values |= {"name": name, "state": "exited", "labels": {}, "environment": {}, "devices": (), "mounts": ()}
    return Container(**(values | {"gpu_request": False, "privileged": False, "limits": Limits()} | changed))


def test_those_with_gpus_and_what_has_run_long_before_what_was_tried_since() -> None:
    tried = [container(f"tried-{number}", gpu_request=True) for number in range(LOOKED_AT + 10)]
    found = chosen([*tried, container("other", state="running"), container("train", state="running", gpu_request=True)])
    assert [each.name for each in found[:2]] == ["train", "tried-0"]
    assert len(found) == LOOKED_AT


def test_an_engine_that_does_not_list_its_containers_is_told_beside_one_that_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = Endpoint("")
    clients = {"docker": Docker("docker", here, {}, "6.1"), "podman": Podman("podman", here)}

    def run(command: Command) -> Result:
        assert command.argv[0] in clients
        hanging = command.argv[0] == "docker"
        return Result(1, "", "context deadline exceeded\n") if hanging else Result(0, "", "")

    monkeypatch.setattr(probe, "clients", lambda own, _machine: (clients[own["engine"]],))
    engines = tuple(Engine(name=name, program=name, version="1") for name in clients)
    found = probe.complete(msgspec.structs.replace(hosts.host({}), engines=engines), run)
    (why,) = found.unlisted
    assert "docker does not list its containers." in why
    assert "context deadline exceeded" in why
    (told,) = [each for each in doctor.findings(found) if each.check.id == "containers-unseen"]
    assert told.evidence == (why,)
