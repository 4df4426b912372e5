"""What may be done to a container, and how its engine is told."""

import os
import pwd

import pytest
from msgspec.structs import replace

from gpudock.errors import EngineError, RefusedError
from gpudock.monitor.sample import Owner
from gpudock.monitor.top import act
from gpudock.proc import Command, Result
from unit.monitor import demo

ALICE = act.Person(1000, "alice")
JUPYTER = demo.containers(0)[0]


@pytest.fixture(autouse=True)
def _engines(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    for name in ("docker", "podman"):
        program = f"{tmp_path}/{name}"
        with open(program, "w") as file:
            file.write("#!/bin/sh\n")
        os.chmod(program, 0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "GPUDOCK_ENGINE"):
        monkeypatch.delenv(name, raising=False)


def test_whoever_called_sudo_is_meant() -> None:
    assert act.person({"SUDO_UID": "1000"}, 0, lambda uid: f"u{uid}") == act.Person(1000, "u1000")
    assert act.person({"SUDO_UID": "1000"}, 7, lambda uid: f"u{uid}") == act.Person(7, "u7")
    assert act.person({"SUDO_UID": "x"}, 0, lambda uid: f"u{uid}") == act.Person(0, "u0")


def test_only_containers_that_an_engine_has() -> None:
    sample = demo.sample()
    assert act.chosen(sample, demo.JUPYTER) is not None
    with pytest.raises(RefusedError, match="in no container"):
        act.chosen(sample, "")
    with pytest.raises(RefusedError, match="No engine"):
        act.chosen(sample, demo.OTHER)


@pytest.mark.parametrize(
    "owner",
    [
        Owner(name="bob", uid=1001, source="label"),
        Owner(name="alice", uid=1001, source="label"),  # the name is the same, the account is not
        Owner(name="", source="label"),
        None,
    ],
)
def test_only_ones_own_is_stopped(owner: Owner | None) -> None:
    with pytest.raises(RefusedError, match="alice-jupyter belongs to"):
        act.stoppable(replace(JUPYTER, owner=owner), ALICE)
    act.stoppable(replace(JUPYTER, owner=Owner(name="alice", uid=1000)), ALICE)
    act.stoppable(replace(JUPYTER, owner=Owner(name="alice")), ALICE)


def test_root_stops_not_what_belongs_to_others() -> None:
    with pytest.raises(RefusedError):
        act.stoppable(JUPYTER, act.Person(0, "root"))


def test_logs_are_the_engines_own() -> None:
    assert act.logs(JUPYTER, ALICE)[-6:] == ("logs", "--follow", "--tail", "200", "--", JUPYTER.id)
    assert act.logs(JUPYTER, ALICE)[0].endswith("docker")
    assert act.logs(demo.containers(0)[1], ALICE)[0].endswith("podman")


def test_a_container_of_a_users_own_engine_is_told_as_that_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("pwd.getpwuid", lambda uid: pwd.struct_passwd(("alice", "x", uid, 100, "", "/home/alice", "")))
    own = replace(demo.containers(0)[1], id=f"{JUPYTER.id}@1000")
    argv = act.logs(own, ALICE)
    assert argv[argv.index("setpriv") : argv.index("--")] == ("setpriv", "--reuid=1000", "--regid=100", "--init-groups")
    assert "HOME=/home/alice" in argv
    assert argv[-3:] == ("200", "--", JUPYTER.id)
    assert argv[argv.index("--") + 1] == "podman"
    monkeypatch.setattr("os.geteuid", lambda: 1001)
    with pytest.raises(EngineError, match="podman of uid 1000 cannot be asked"):
        act.logs(own, ALICE)
    with pytest.raises(RefusedError, match="is in an engine of"):
        act.logs(own, act.Person(0, "root"))


def test_stop_asks_the_engine_once() -> None:
    asked: list[Command] = []

    def run(command: Command) -> Result:
        asked.append(command)
        return Result(0, "", "")

    act.stop(JUPYTER, run)
    assert [command.argv[-3:] for command in asked] == [("stop", "--", JUPYTER.id)]


def test_an_engine_that_does_not_stop_it_says_why() -> None:
    with pytest.raises(EngineError, match="docker did not stop alice-jupyter") as raised:
        act.stop(JUPYTER, lambda _: Result(1, "", "first line\npermission denied\x1b[2J\n"))
    assert raised.value.why == "'permission denied\\x1b[2J'"


def test_an_engine_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(EngineError, match="docker cannot be asked"):
        act.logs(JUPYTER, ALICE)
