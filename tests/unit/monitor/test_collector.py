"""One Sample from what the child answers: numbers, ages, idle GPUs, errors, and drivers that hang."""

import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from gpudock.facts.base import Missing
from gpudock.monitor.collector import GIVEN_UP, Collector
from gpudock.monitor.sample import (
    Container,
    Engine,
    Gpu,
    Instance,
    Person,
    Process,
    Profiling,
    Sample,
    Utilization,
    Xid,
)
from gpudock.monitor.watch import Answer


class Watcher:
    """Answers what the test put there last."""

    def __init__(self) -> None:
        self.told: Answer | Missing = Missing("nothing yet")
        self.slow: list[bool] = []
        self.closed = 0
        self.hold = threading.Event()
        self.hold.set()

    def look(self, *, slow: bool) -> Answer | Missing:
        self.slow.append(slow)
        self.hold.wait(5)
        return self.told

    def close(self) -> None:
        self.closed += 1


class Machine:
    problems: tuple[str, ...] = ()

    def look(self, told: Sequence[Process]) -> tuple[tuple[Process, ...], tuple[Container, ...], tuple[Person, ...]]:
        return tuple(told), (), ()

    def engines(self) -> tuple[Engine, ...]:
        return (Engine(name="docker", problem="it is not running"), Engine(name="podman"))


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()


def collector(watcher: Watcher, **given: Any) -> Collector:
    return Collector(watcher, Machine(), **given)  # type: ignore[arg-type]


def answer(load: int = 0, held: bool = True, xids: tuple[tuple[str, int], ...] = (), at: float | None = None) -> Answer:
    gpu = Gpu(index=0, uuid="GPU-0", bus_id="0000:03:00.0", minor=0, utilization=Utilization(gpu=load))
    processes = (Process(pid=7, gpu="GPU-0"),) if held else ()
    return Answer(time=at or time.time(), driver="580.1", cuda="13.0", gpus=(gpu,), processes=processes, xids=xids)


def only(sample: Sample) -> Gpu:
    assert not isinstance(sample.gpus, Missing), sample.gpus
    return sample.gpus[0]


def test_before_the_first_look_it_says_so(watcher: Watcher) -> None:
    sample = collector(watcher).latest()
    assert (sample.number, sample.gpus) == (0, Missing("the first look is not finished"))


def test_samples_are_numbered_and_say_what_is_wrong(watcher: Watcher) -> None:
    made = collector(watcher)
    watcher.told = answer()
    assert [made.look().number, made.look().number] == [1, 2]
    assert made.latest().driver == "580.1"
    assert made.latest().problems == ("docker: it is not running",)


def test_gpus_of_which_nobody_tells_who_uses_them_are_said_once(watcher: Watcher) -> None:
    gpus = tuple(
        replace(answer().gpus[0], index=index, uuid=f"GPU-{index}", untold=why)
        for index, why in enumerate((Missing("Not Supported"), None, Missing("Not Supported")))
    )
    watcher.told = replace(answer(held=False), gpus=gpus)
    assert collector(watcher).look().problems[0] == "who uses GPU 0, 2 is not told: Not Supported"


def test_what_changes_rarely_is_asked_every_ten_seconds_and_after_a_failure(
    watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    made = collector(watcher)
    watcher.told = answer()
    for _ in range(12):
        made.look()
        clock[0] += 1
    assert [place for place, slow in enumerate(watcher.slow) if slow] == [0, 10]
    watcher.told = Missing("NVML crashed: SIGSEGV")
    made.look()
    watcher.told = answer()
    made.look()
    assert watcher.slow[-1]


def test_a_driver_that_hangs_leaves_the_last_sample_with_its_age(watcher: Watcher) -> None:
    made = collector(watcher)
    watcher.told = answer(load=50, at=time.time() - 20)
    made.look()
    watcher.told = Missing("NVML gave no answer within 5 s")
    sample = made.look()
    assert only(sample).utilization.gpu == 50
    assert 19 < sample.age < 40
    assert sample.stale
    assert sample.problems == ("NVML gave no answer within 5 s",)
    assert sample.number == 2


def test_after_a_minute_nothing_old_is_shown(watcher: Watcher) -> None:
    made = collector(watcher)
    watcher.told = answer(at=time.time() - GIVEN_UP - 1)
    made.look()
    watcher.told = Missing("NVML is stuck")
    sample = made.look()
    assert sample.gpus == Missing("NVML is stuck")
    assert (sample.processes, sample.problems) == ((), ())
    watcher.told = Missing("NVML is stuck for long")
    assert GIVEN_UP < made.look().age < GIVEN_UP + 40  # and the age goes on
    assert made.latest().stale
    watcher.told = answer(load=1)
    assert only(made.look()).utilization.gpu == 1


def test_where_no_gpu_was_ever_read_nothing_is_old(watcher: Watcher, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now)
    made = collector(watcher)
    now += 3600
    sample = made.look()
    assert (sample.never_read, sample.stale, sample.gpus) == (True, False, Missing("nothing yet"))


def test_a_gpu_that_is_held_and_does_nothing_is_idle(watcher: Watcher, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    made = collector(watcher)
    idle = []
    for load, held in ((0, True), (0, True), (3, True), (0, True), (0, False)):
        watcher.told = answer(load, held)
        idle.append(only(made.look()).idle)
        clock[0] += 30
    assert idle == [0.0, 30.0, None, 0.0, None]


def test_a_display_server_holds_no_gpu_idle(watcher: Watcher) -> None:
    made = collector(watcher)
    idle = []
    for kind in ("G", "C", "CG"):
        (process,) = answer(0, held=True).processes
        watcher.told = replace(answer(0, held=True), processes=(replace(process, kind=kind),))
        idle.append(only(made.look()).idle is not None)
    assert idle == [False, True, True]


def test_of_a_divided_gpu_its_instances_tell_whether_it_is_idle(watcher: Watcher) -> None:
    made = collector(watcher)
    idle = []
    for busy in (0.0, 0.2, Missing("needs two looks")):
        parts = [
            Instance(index=gi, gi=gi, ci=0, uuid=f"MIG-{gi}", profiling=Profiling(graphics=graphics))
            for gi, graphics in enumerate((0.0, busy))
        ]
        (gpu,) = answer().gpus
        divided = replace(gpu, utilization=Utilization(gpu=Missing("no")), instances=tuple(parts))
        watcher.told = replace(answer(), gpus=(divided,))
        idle.append(only(made.look()).idle)
    assert idle == [0.0, None, None]


def test_errors_of_a_gpu_are_counted_by_kind(watcher: Watcher) -> None:
    made = collector(watcher)
    for codes in ((31, 31), (), (79,)):
        watcher.told = answer(xids=tuple(("GPU-0", code) for code in codes), at=1000.0)
        made.look()
    assert only(made.latest()).xids == (Xid(code=31, times=2, last=1000.0), Xid(code=79, times=1, last=1000.0))


def test_who_waits_is_woken_by_a_new_sample_and_given_the_old_one_in_the_end(watcher: Watcher) -> None:
    made = collector(watcher, interval=0.05)
    watcher.told = answer()
    made.start()
    try:
        first = made.wait(0, 5)
        assert made.wait(first.number, 5).number > first.number
        watcher.hold.clear()
        number = made.wait(made.latest().number, 0.2).number
        assert made.wait(number, 0.05).number == number  # the driver hangs; the caller does not
    finally:
        watcher.hold.set()
        made.stop()
    assert watcher.closed >= 1


def test_listeners_are_given_each_sample(watcher: Watcher) -> None:
    given: list[int] = []
    enough = threading.Event()

    def listen(sample: Sample) -> None:
        given.append(sample.number)
        if len(given) == 3:
            enough.set()

    made = collector(watcher, interval=0.01, listeners=(listen,))
    watcher.told = answer()
    made.start()
    assert enough.wait(5)
    made.stop()
    assert given[:3] == [1, 2, 3]


def test_a_defect_is_said_and_does_not_end_the_watching(watcher: Watcher) -> None:
    def listen(sample: Sample) -> None:
        if sample.number == 1:
            raise ValueError("oops")

    made = collector(watcher, interval=0.01, listeners=(listen,))
    watcher.told = answer()
    made.start()
    try:
        said = made.wait(1, 5)
        while not said.problems[0].startswith("a defect"):
            said = made.wait(said.number, 5)
            assert said.number < 4
        assert said.problems == ("a defect of gpudock: ValueError: oops",)
        assert made.wait(said.number, 5).problems == ("docker: it is not running",)
    finally:
        made.stop()
