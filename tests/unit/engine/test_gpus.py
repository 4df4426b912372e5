"""NVML beside the engine: waited for no longer than it is worth."""

import os
import threading
from pathlib import Path

import pytest

from gpudock.engine import gpus
from gpudock.facts.gpu import Gpu
from gpudock.host import nvml_turn
from gpudock.proc import Command, Result
from unit import h200
from unit.cdi import specs


def test_an_answer_is_given_when_it_is_there() -> None:
    facts = (Gpu(index=0, uuid="GPU-1", bus_id="x", minor=0, name="H200"),)
    assert gpus.Reading(lambda: ("13.0", facts)).within(5) == ("13.0", facts)


def test_a_slow_driver_is_left_alone() -> None:
    release = threading.Event()

    def ask() -> tuple[str, tuple[Gpu, ...]]:
        release.wait(10)
        return "13.0", ()

    reading = gpus.Reading(ask)
    assert reading.within(0.01) == ("", ())
    release.set()
    assert reading.within(5) == ("13.0", ())


def test_the_plans_own_nvml_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvml_turn, "folder", lambda: str(tmp_path))
    plan = specs.plan()
    plan["key"]["files"] = [
        {"host": path, "size": 1, "mtime_ns": 1} for path in ("/x/libcuda.so.580.159.04", h200.LIBRARY)
    ]
    asked: list[Command] = []

    def run(command: Command) -> Result:
        asked.append(command)
        return h200.answer(command)

    cuda, found = gpus.of_plan(plan, run).within(5)
    assert cuda == "13.0"
    assert found[0].uuid.startswith("GPU-")
    assert h200.LIBRARY in asked[0].argv


def test_a_plan_without_nvml_tells_nothing() -> None:
    plan = specs.plan()
    plan["key"]["files"] = []
    assert gpus.of_plan(plan, h200.answer).within(5) == ("", ())


def test_who_runs_a_process() -> None:
    found = gpus.owner(os.getpid())
    assert found is not None
    assert found.uid == os.getuid()
    assert found.program.startswith(("python", "pytest"))
    assert gpus.owner(2**30) is None


def test_a_process_cannot_write_to_the_terminal_by_its_name() -> None:
    with open("/proc/self/comm", encoding="utf-8") as file:
        before = file.read().strip()
    try:
        with open("/proc/self/comm", "w", encoding="utf-8") as file:
            file.write("a\nb\x1b[2J")
        found = gpus.owner(os.getpid())
    finally:
        with open("/proc/self/comm", "w", encoding="utf-8") as file:
            file.write(before)
    assert found is not None
    assert found.program == r"'a\nb\x1b[2J'"
