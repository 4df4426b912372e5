"""What is taken away after a refresh, and what is not. Mounted trees: tests/real."""

import json
import os
import time
from pathlib import Path

import pytest

from gpudock.refresh.collect import PLAN_AGE, collect
from gpudock.refresh.paths import Paths

NEW, OLD = "550.54.15-0123456789ab", "535.54-ba9876543210"
STAGING = f".{OLD}.0123abcd.tmp"
USED, UNUSED, RECENT = (f"{digit * 16}.json" for digit in "abc")
THEIRS = (
    "photos",
    "550.54.15-0123456789abc",
    "550-0123456789ab",
    ".hidden",
    ".notes.tmp",
    ".notes.0123abcd.tmp",
    f"x{OLD}",
    f".{OLD}.ABCDEFGH.tmp",
)


def plan(path: str, *generations: str, age: float) -> None:
    variants = {str(number): {"folder": f"/trees/{name}/all"} for number, name in enumerate(generations)}
    Path(path).write_text(json.dumps({"variants": variants}))
    os.utime(path, (time.time() - age,) * 2)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    made = Paths(*(f"{tmp_path}/{name}" for name in ("state", "run", "cdi", "libexec")))
    for generation in (NEW, OLD, STAGING):
        os.makedirs(f"{made.trees}/{generation}/all/lib64")
        Path(f"{made.trees}/{generation}/all/lib64/libcuda.so.1").touch()
    os.makedirs(f"{made.trees}/{NEW}/.utility.0123abcd.tmp/lib64")
    os.makedirs(made.plans)
    os.makedirs(made.cdi)
    for killed in (f"{made.plans}/.new.json.abcd.tmp", f"{made.cdi}/.gpudock.json.abcd.tmp", f"{made.cdi}/.other.tmp"):
        Path(killed).touch()
    plan(f"{made.plans}/{USED}", NEW, age=PLAN_AGE + 60)
    plan(f"{made.plans}/{UNUSED}", OLD, age=PLAN_AGE + 60)
    plan(f"{made.plans}/{RECENT}", NEW, age=0)
    return made


def test_old_generations_plans_and_staging_go(paths: Paths) -> None:
    removed = collect(paths, generation=NEW, plans={USED})
    assert removed == [f"{paths.plans}/{UNUSED}", f"{paths.trees}/{OLD}"]
    assert os.listdir(paths.trees) == [NEW]
    assert os.listdir(f"{paths.trees}/{NEW}") == ["all"]
    assert sorted(os.listdir(paths.plans)) == [USED, RECENT]
    assert os.listdir(paths.cdi) == [".other.tmp"]  # somebody else's
    assert collect(paths, generation=NEW, plans={USED}) == []


def test_a_plan_that_was_in_use_until_now_stays_for_a_while_with_its_tree(paths: Paths) -> None:
    """It was written at boot; a container that starts this very second has read the specification that names it."""
    assert collect(paths, generation=NEW, plans={USED}, switched=True) == []
    assert collect(paths, generation=NEW, plans={USED}) == []
    assert os.path.exists(f"{paths.trees}/{OLD}/all/lib64/libcuda.so.1")
    plan(f"{paths.plans}/{UNUSED}", OLD, age=PLAN_AGE + 60)
    assert collect(paths, generation=NEW, plans={USED}) == [f"{paths.plans}/{UNUSED}", f"{paths.trees}/{OLD}"]


def test_a_tree_that_a_specification_of_cdi_generate_uses_stays(paths: Paths) -> None:
    assert collect(paths, generation=NEW, plans={USED, UNUSED}) == []
    assert sorted(os.listdir(paths.trees)) == sorted([OLD, NEW])


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"variants": []}', '{"variants": {"all": 1}}', '{"variants": {"a": {}}}']
)
def test_a_plan_that_is_none_keeps_nothing(paths: Paths, text: str) -> None:
    Path(paths.plans, UNUSED).write_text(text)
    assert collect(paths, generation=NEW, plans={USED}) == [f"{paths.trees}/{OLD}"]


def test_what_is_not_ours_stays(paths: Paths) -> None:
    for name in THEIRS:
        os.mkdir(f"{paths.trees}/{name}")
    Path(paths.trees, "535.1-000000000000").touch()  # a file
    Path(paths.plans, "notes.json").touch()
    os.utime(f"{paths.plans}/notes.json", (0, 0))
    collect(paths, generation=NEW, plans={USED})
    assert sorted(os.listdir(paths.trees)) == sorted([NEW, *THEIRS, "535.1-000000000000"])
    assert "notes.json" in os.listdir(paths.plans)


@pytest.mark.parametrize("linked", ["trees", "generation"])
def test_what_a_link_leads_to_stays(paths: Paths, tmp_path: Path, linked: str) -> None:
    away = f"{tmp_path}/elsewhere"
    place = paths.trees if linked == "trees" else f"{paths.trees}/{OLD}"
    os.rename(place, away)
    os.symlink(away, place)
    before = sorted(Path(away).rglob("*"))
    collect(paths, generation=NEW, plans={USED})
    assert sorted(Path(away).rglob("*")) == before
    assert os.path.islink(place)


def test_nothing_there_yet(tmp_path: Path) -> None:
    empty = Paths(*(f"{tmp_path}/{name}" for name in ("state", "run", "cdi", "libexec")))
    assert collect(empty, generation="x", plans=()) == []
