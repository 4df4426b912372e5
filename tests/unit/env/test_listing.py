import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from gpudock.engine import endpoint
from gpudock.engine.base import Answer
from gpudock.engine.containers import Container, Limits, Port
from gpudock.engine.docker import Docker
from gpudock.env import listing, naming, running
from gpudock.env.owner import Owner
from gpudock.env.project import Project
from gpudock.env.recipe_file import parse
from gpudock.env.session import Session
from gpudock.proc import Command, Result

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
FOLDER = "/home/ada/seg"
SERVICES = json.dumps(
    [{"name": "jupyter", "port": 8888, "host_port": 8890}, {"name": "gone", "port": 1, "host_port": 2}]
)


def session(run: Any = None) -> Session:
    def nothing(command: Command) -> Result:
        raise AssertionError(command.argv)

    client = Docker("docker", endpoint.Endpoint(endpoint.LOCAL), {}, "6")
    return Session(client, Answer("28"), False, Owner(1000, 1000, "ada"), {}, run or nothing, lambda _: None)


def container(state: str = "running", more: Mapping[str, str] | None = None, uid: int = 1000) -> Container:
    names = naming.names("", uid=uid, folder=FOLDER)
    labels = {
        "gpudock.env": names.name,
        "gpudock.owner": "ada",
        "gpudock.owner.uid": str(uid),
        "gpudock.project": FOLDER,
        "gpudock.services": SERVICES,
        "gpudock.gpus": "0,2",
        **(more or {}),
    }
    created = "2026-11-30T10:00:00.123456789Z"
    ports = (Port(8888, "tcp", "127.0.0.1", 8890),)
    return Container(
        *("a" * 64, names.container, "img", "b" * 64, state, 1, 0, created, "", labels, {"GPUDOCK_UID": "1000"}),
        *("runc", (), False, False, "bridge", "", (), ports, Limits(memory=64 << 20, cpus=2.0)),
    )


def test_a_running_one_of_ours_is_asked_for_what_the_kernel_has() -> None:
    def run(command: Command) -> Result:
        assert command.argv[:2] == ("docker", "exec")
        return Result(0, "== /sys/fs/cgroup/memory.max\n33554432\n== /sys/fs/cgroup/memory.current\n4096\n", "")

    (row,) = listing.rows(session(run), [container()], NOW)
    assert (row.name, row.owner, row.gpus, row.ports) == ("seg", "ada", "0,2", ("127.0.0.1:8890->8888",))
    assert (row.limits["memory"], row.use["memory"], row.age_seconds, row.host) == (32 << 20, 4096, 7200, "here")
    assert json.loads(listing.as_json([row]))[0]["container"].startswith("gpudock-seg-")


@pytest.mark.parametrize(
    ("asked", "unheld"),
    [
        ("{memory: 64m, cpus: 2, pids: 9}", ("memory", "pids")),
        ("{memory: -1, pids: -1, shm_size: 1g}", ()),
        ("{}", ()),
    ],
)
def test_limits_that_nobody_holds(asked: str, unheld: tuple[str, ...]) -> None:
    def run(_: Command) -> Result:
        return Result(0, "== /sys/fs/cgroup/memory.max\nmax\n== /sys/fs/cgroup/cpu.max\n200000 100000\n", "")

    assert listing.unheld(session(run), container(), parse(f"resources: {asked}").resources) == unheld


@pytest.mark.parametrize("each", [container("exited"), container(uid=1001), container(more={"gpudock.env": "other"})])
def test_nothing_is_run_in_a_strangers_or_a_stopped_one(each: Container) -> None:
    (row,) = listing.rows(session(), [each], NOW)
    assert (row.limits["memory"], row.limits["cpus"], row.use["memory"]) == (64 << 20, 2.0, None)


def test_services_are_those_that_the_recipe_has_with_the_ports_that_they_got() -> None:
    recipe = parse("services: {jupyter: {}, tensorboard: {}}")
    project = Project(FOLDER, recipe, naming.names("", uid=1000, folder=FOLDER))
    found = running.services(project, container())
    assert [(served.name, port) for served, port in found] == [("jupyter", 8890)]
    assert running.promised(container(), 1000) == {8890, 2}
    assert running.promised(container(uid=1001), 1000) == {8890}  # a stranger's claims take no ports from us


@pytest.mark.parametrize("claim", ["", "{}", "[1]", '[{"name": 5}]', "[" * 10_000])
def test_broken_claims_are_no_services(claim: str) -> None:
    assert running.names(container(more={"gpudock.services": claim})) == []
