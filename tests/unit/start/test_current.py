"""The plan that is in place, and when it is not believed. That refresh is really run: tests/real."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gpudock.errors import GpudockError, HostError
from gpudock.plan.document import Plan
from gpudock.start import current, key, renew, settings
from gpudock.start.settings import Settings
from unit.plan.plans import gpu, plan_of

Place = Callable[[Plan], Settings]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Puts a plan and a specification that names it into a folder, and returns settings that lead there."""

    def put(plan: Plan) -> Settings:
        plan["key"] = {
            **plan["key"],
            "proc": str(tmp_path / "proc"),
            "boot_id": key.read_boot_id(),
            "module": "",
            "majors": {},
            "gpus": {},
            "mig_minors": {},
            "files": [],
        }
        (tmp_path / "plan.json").write_text(json.dumps(plan))
        hook = {"path": "/p", "args": ["p", "hook.py", "--plan", str(tmp_path / "plan.json")]}
        (tmp_path / "spec.json").write_text(json.dumps({"containerEdits": {"hooks": [hook]}}, indent=1))
        for name in ("plan.json", "spec.json"):
            (tmp_path / name).chmod(0o644)
        values = {name: getattr(settings.DEFAULT, name) for name in Settings.__slots__}
        return Settings(**{**values, "specs": (str(tmp_path / "nothing"), str(tmp_path / "spec.json"))})

    return put


def test_the_plan_that_the_specification_names(place: Place) -> None:
    plan = plan_of([])
    assert current.plan(place(plan)) == plan


def test_no_specification(place: Place, tmp_path: Path) -> None:
    found = place(plan_of([]))
    (tmp_path / "spec.json").unlink()
    with pytest.raises(HostError, match="not set up for containers yet") as error:
        current.plan(found)
    assert error.value.mend.startswith("sudo gpudock refresh")


@pytest.mark.parametrize("text", ["", "{}", '{"args": ["--plan"', '{"args": ["--plan", "relative"]}', "\xff"])
def test_a_specification_without_a_plan(place: Place, tmp_path: Path, text: str) -> None:
    found = place(plan_of([]))
    (tmp_path / "spec.json").write_text(text)
    with pytest.raises(HostError, match="names no start plan"):
        current.plan(found)


def test_a_plan_of_another_boot(place: Place, tmp_path: Path) -> None:
    plan = plan_of([])
    found = place(plan)
    plan["key"]["boot_id"] = "another"
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    with pytest.raises(HostError, match="no longer fits") as error:
        current.plan(found)
    assert error.value.why == "the machine has been started again since"


def test_a_gpu_that_came_later_is_noticed_and_stops_nobody(place: Place, tmp_path: Path) -> None:
    plan = plan_of([])
    found = place(plan)
    (tmp_path / "proc/driver/nvidia/gpus/0000:09:00.0").mkdir(parents=True)
    assert current._grown(plan) == "there is a new GPU at 0000:09:00.0"
    assert current.plan(found) == plan


def test_a_new_mig_device_is_noticed_and_a_part_of_one_is_not(place: Place, tmp_path: Path) -> None:
    plan = plan_of([gpu(0, instances=1)])
    found = place(plan)
    instance = tmp_path / "proc/driver/nvidia/capabilities/gpu0/mig/gi5"
    instance.mkdir(parents=True)
    assert current._grown(plan) == ""  # nobody can use it yet
    (instance / "ci0").mkdir()
    assert current._grown(plan) == "GPU 0 has a new MIG device gi5/ci0"
    assert current.plan(found) == plan


def test_what_refresh_leaves_out_is_not_asked_for_at_each_start(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broken GPU stays in the driver's list; each refresh would take as long as the driver needs to say so."""
    found, asked = place(plan_of([])), []
    monkeypatch.setattr(renew, "may_refresh", lambda _: True)
    monkeypatch.setattr(renew, "refresh", lambda *_, because: asked.append(because.what))
    gpus = tmp_path / "proc/driver/nvidia/gpus"
    (gpus / "0000:09:00.0").mkdir(parents=True)
    for _ in range(3):
        current.plan(found)
    assert asked == ["there is a new GPU at 0000:09:00.0"]
    (gpus / "0000:0a:00.0").mkdir()
    for _ in range(3):
        current.plan(found)
    assert asked[1:] == ["there is a new GPU at 0000:09:00.0; there is a new GPU at 0000:0a:00.0"]
    note = tmp_path / "spec.json.left-out"
    os.utime(note, (0, time.time() - 3600))  # it may work again
    current.plan(found)
    assert len(asked) == 3
    note.chmod(0o666)  # anybody could have written it
    current.plan(found)
    assert len(asked) == 4


def test_a_plan_of_somebody_elses_is_not_believed(place: Place, tmp_path: Path) -> None:
    found = place(plan_of([]))
    (tmp_path / "plan.json").chmod(0o666)
    with pytest.raises(GpudockError, match="can be written by others"):
        current.plan(found)
