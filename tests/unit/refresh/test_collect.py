"""What is taken away after a refresh, and what is not. Mounted trees: tests/real."""

import os
import time
from pathlib import Path

import pytest

from gpudock.refresh.collect import PLAN_AGE, collect
from gpudock.refresh.paths import Paths


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    made = Paths(*(f"{tmp_path}/{name}" for name in ("state", "run", "cdi", "libexec")))
    for generation in ("550-new", "535-old", ".535-older.abcd.tmp"):
        os.makedirs(f"{made.trees}/{generation}/all/lib64")
        Path(f"{made.trees}/{generation}/all/lib64/libcuda.so.1").touch()
    os.makedirs(f"{made.trees}/550-new/.utility.abcd.tmp/lib64")
    os.makedirs(made.plans)
    os.makedirs(made.cdi)
    for killed in (f"{made.plans}/.new.json.abcd.tmp", f"{made.cdi}/.gpudock.json.abcd.tmp", f"{made.cdi}/.other.tmp"):
        Path(killed).touch()
    long_ago = time.time() - PLAN_AGE - 60
    for plan, age in (("new.json", long_ago), ("old.json", long_ago), ("recent.json", time.time())):
        Path(f"{made.plans}/{plan}").touch()
        os.utime(f"{made.plans}/{plan}", (age, age))
    return made


def test_old_generations_plans_and_staging_go(paths: Paths) -> None:
    removed = collect(paths, generation="550-new", plans={"new.json"})
    assert removed == [f"{paths.trees}/535-old", f"{paths.plans}/old.json"]
    assert os.listdir(paths.trees) == ["550-new"]
    assert os.listdir(f"{paths.trees}/550-new") == ["all"]
    assert sorted(os.listdir(paths.plans)) == ["new.json", "recent.json"]
    assert os.listdir(paths.cdi) == [".other.tmp"]  # somebody else's
    assert collect(paths, generation="550-new", plans={"new.json"}) == []


def test_a_plan_that_was_in_use_until_now_stays_for_a_while(paths: Paths) -> None:
    """It was written at boot; a container that starts this very second has read the specification that names it."""
    collect(paths, generation="550-new", plans={"new.json"}, switched=True)
    assert {"new.json", "old.json"} <= set(os.listdir(paths.plans))
    collect(paths, generation="550-new", plans={"new.json"})
    assert "old.json" in os.listdir(paths.plans)


def test_nothing_there_yet(tmp_path: Path) -> None:
    empty = Paths(*(f"{tmp_path}/{name}" for name in ("state", "run", "cdi", "libexec")))
    assert collect(empty, generation="x", plans=()) == []
