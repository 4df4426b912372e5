"""The plan reader takes whole plans and refuses everything else with one kind of error."""

from __future__ import annotations

import json
import random
from copy import deepcopy
from typing import Any

import pytest

from gpudock.errors import InputError
from gpudock.plan.reader import PlanError, check
from unit.plan.plans import plan_with

WHOLE = plan_with()


def parts(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of everything below a JSON value."""
    found = [path]
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, child in children:
        found += parts(child, (*path, name))
    return found


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


PATHS = parts(WHOLE)
FIELDS = [path for path in PATHS if path and isinstance(path[-1], str) and isinstance(at(WHOLE, path[:-1]), dict)]
# Objects that are tables: any name is right in them, and none is required.
TABLES = {
    ("key", "majors"),
    ("key", "gpus"),
    ("key", "mig_minors"),
    ("variants",),
    ("extras",),
    ("extras", "imex", "nodes"),
}


def test_a_plan_is_returned_as_it_is() -> None:
    assert check(WHOLE) is WHOLE
    assert check(json.loads(json.dumps(WHOLE))) == WHOLE


@pytest.mark.parametrize(
    "path", [path for path in FIELDS if path[:-1] not in TABLES], ids=lambda path: ".".join(map(str, path))
)
def test_each_field_is_needed_and_has_its_type(path: tuple[Any, ...]) -> None:
    wrong_everywhere: tuple[Any, ...] = (None, {"wrong": [1]}, [{}], "\0", 1.5)
    for wrong in wrong_everywhere:
        broken = deepcopy(WHOLE)
        at(broken, path[:-1])[path[-1]] = wrong
        with pytest.raises(PlanError):
            check(broken)
    broken = deepcopy(WHOLE)
    del at(broken, path[:-1])[path[-1]]
    with pytest.raises(PlanError):
        check(broken)


@pytest.mark.parametrize(
    "value", [None, [], {}, "plan", 1, True, 1.5, {"format": 1}, {"format": True}, {"format": "1"}]
)
def test_what_is_no_plan_at_all(value: Any) -> None:
    with pytest.raises(PlanError):
        check(value)


@pytest.mark.parametrize("version", [0, 2, 10**30, -1, 1.0, None, [1] * 1000])
def test_another_format_is_named(version: Any) -> None:
    with pytest.raises(PlanError, match="format") as caught:
        check({**WHOLE, "format": version})
    assert isinstance(caught.value, InputError)
    assert "refresh" in caught.value.mend
    assert len(str(caught.value)) < 200


def test_unknown_fields_are_refused_and_shown_short() -> None:
    with pytest.raises(PlanError, match=r"x{80}") as caught:
        check({**WHOLE, "x" * 100_000: 1})
    assert len(str(caught.value)) < 300


def test_an_integer_is_no_truth_value() -> None:
    with pytest.raises(PlanError):
        check({**WHOLE, "wsl": 0})
    with pytest.raises(PlanError):
        check({**WHOLE, "gpus": [{**WHOLE["gpus"][0], "minor": True}]})


def test_ten_thousand_mutated_plans_are_refused_or_plans() -> None:
    """Each went through JSON, as a plan file does: nothing but PlanError comes out."""
    chance = random.Random(2)
    values: tuple[Any, ...] = (
        None,
        True,
        0,
        -1,
        10**40,
        1.5,
        "",
        "\0",
        "x",
        "\ud800",
        [],
        {},
        [[]],
        {"": {}},
        [None],
        ["x"],
    )
    refused = 0
    text = json.dumps(WHOLE)
    for _ in range(10_000):
        broken = json.loads(text)
        for _ in range(chance.randint(1, 3)):
            path = chance.choice(PATHS[1:])
            try:
                holder = at(broken, path[:-1])
                match chance.randrange(3):
                    case 0:
                        holder[path[-1]] = chance.choice(values)
                    case 1:
                        del holder[path[-1]]
                    case _ if isinstance(holder, dict):
                        holder["surplus"] = chance.choice(values)
                    case _:
                        holder *= 2
            except (KeyError, IndexError, TypeError):
                continue  # an earlier change took the place away
        try:
            assert check(broken) is broken
        except PlanError:
            refused += 1
    assert 8_000 < refused < 10_000


def test_broken_text_is_no_concern_of_the_reader() -> None:
    """What JSON itself allows beyond plans: huge numbers, deep nesting, duplicate names."""
    for text in ('{"format": 1e400}', '{"format": NaN}', "[" * 500 + "]" * 500, '{"format": 1, "format": 2}'):
        with pytest.raises(PlanError):
            check(json.loads(text))
