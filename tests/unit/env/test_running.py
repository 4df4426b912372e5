"""A container that takes another's place, and the project's copy on another machine: nothing half is left."""

import pytest

from gpudock.engine import labels
from gpudock.engine.containers import Container
from gpudock.env import running, volume
from gpudock.env.create import Start, Who
from gpudock.env.naming import Names
from gpudock.env.owner import Owner
from gpudock.env.recipe import Recipe
from gpudock.env.recipe_file import parse
from gpudock.env.services import table
from gpudock.env.session import Session
from gpudock.errors import EngineError
from gpudock.proc import Result
from unit.env.sessions import session
from unit.env.test_gpus import no_tools
from unit.env.test_mine import container
from unit.recorded import Recorder

START = Start(
    Names("seg", "12345678"), "/seg", "gpudock-seg-12345678", Owner(1000, 1000, "ada"), "a" * 64, "img", Recipe(), (),
    Who(1000, 1000, "ada"),
)  # fmt: skip
FAILED = Result(1, "", "no")


def asked(made: Session) -> list[tuple[str, ...]]:
    assert isinstance(made.run, Recorder)
    return [each.argv[1:] for each in made.run.asked]


@pytest.mark.parametrize("error", [EngineError("no"), KeyboardInterrupt()])
def test_the_old_container_comes_back_also_when_a_half_new_one_has_its_name(error: BaseException) -> None:
    said: list[str] = []
    made, old = session({("podman",): ""}, said), container()
    with pytest.raises(type(error)), running.replaced(made, old):
        raise error
    assert asked(made)[-2:] == [("rm", "--force", old.name), ("rename", f"{old.name}-before", old.name)]
    assert "gpudock env start" in said[0]


@pytest.mark.parametrize("fails", ["making", "copying", "interrupted"])
def test_no_empty_or_half_copy_of_the_project_stays(fails: str) -> None:
    copying: dict[tuple[str, ...], Result | str] = {("podman", "cp"): FAILED if fails == "copying" else ""}
    made = session({("podman", "volume", "inspect"): FAILED, **copying, ("podman",): ""})
    error = KeyboardInterrupt if fails == "interrupted" else EngineError

    def making() -> None:
        with volume.filled(made, START) as new:
            assert new
            if fails != "copying":
                raise error("no")

    with pytest.raises(error):
        making()
    assert asked(made)[-2:] == [("rm", START.names.container), ("volume", "rm", START.source)]


def test_a_copy_that_is_there_stays_as_it_is() -> None:
    made = session({("podman",): ""})
    with volume.filled(made, START) as new:
        assert not new
    assert asked(made) == [("volume", "inspect", START.source)]


@pytest.mark.parametrize("old", [None, container()])
def test_the_commands_are_told_and_nothing_is_done(old: Container | None) -> None:
    made = session({("podman", "volume", "inspect"): FAILED, ("podman", "ps"): ""})
    planned = running.planned(made, START, old, no_tools, (), draws=False)
    verbs = [each[1] for each in planned]
    aside = ["stop", "rename"] if old else []
    assert verbs == [*aside, "volume", "create", "cp", "start", *(["rm"] if old else [])]
    assert "--dry-run" not in [word for each in planned for word in each]
    assert {each[0] for each in asked(made)} <= {"volume", "ps"}


def test_the_port_of_who_goes_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpudock.env.services.ports.taken_here", lambda *_: lambda port: port < 8082)
    (web,) = table.services(parse("services: {web: {command: x, port: 8080}}"), root=False)
    start, old = START._replace(source="/seg", served=((web, 8080),)), container(more={labels.SERVICES: _OLD})
    made = session({("podman",): ""})
    plans = [running.planned(made, start, each, no_tools, (), draws=False) for each in (old, None)]
    told = [word for plan in plans for each in plan for word in each if word.endswith(":8080")]
    assert told == ["127.0.0.1:8080:8080", "127.0.0.1:8082:8080"]


_OLD = '[{"name": "web", "port": 8080, "host_port": 8080}]'


def test_a_limit_that_the_engine_drops_is_said() -> None:
    said: list[str] = []
    dropped = "WARNING: Your kernel does not support memory limit capabilities. Limitation discarded."
    made = session(
        {
            ("podman", "create"): Result(0, "id", f"{dropped}\nnoise\n"),
            ("podman", "start"): FAILED,
            ("podman",): "",
        },
        said,
    )
    with pytest.raises(EngineError, match="cannot start"):
        running.fresh(made, START, no_tools, (), draws=False)
    assert said == [f"podman says: {dropped}"]
