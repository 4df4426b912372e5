"""The watching child on simulated machines: every reading, and what becomes of it on bad days."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from gpudock import proc
from gpudock.facts.base import Missing
from gpudock.host import nvml, nvml_turn, roots
from gpudock.monitor import watch
from gpudock.monitor.sample import TWO_LOOKS, Clocks, Ecc, Gpu, Memory, Power, Remapped, Temperature, Utilization
from gpudock.monitor.watch import Answer, Watcher
from gpudock.testing.simulate import build, description
from gpudock.testing.simulate.machine import Process

pytestmark = pytest.mark.real
DEADLINE, PATIENT = 0.6, 20.0  # seconds, for who hangs, and for who answers on a busy machine


@pytest.fixture(autouse=True)
def own_turn(session_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks NVML takes turns by a lock, which is one for the machine."""
    monkeypatch.setenv("GPUDOCK_RUN_DIR", str(session_root / "watch-run"))


@pytest.fixture(scope="module")
def machine(session_root: Path) -> Path:
    """Two H200, the second with MIG instances, and processes on both."""
    made = description.make(2, "H200", "580.159.04", mig=("", "3g.71gb,1g.18gb"))
    first, second = made.gpus
    first = msgspec.structs.replace(
        first,
        utilization=40,
        memory_utilization=12,
        encoder=3,
        decoder=4,
        power=350_000,
        pcie=5000,
        links=18,
        fan=55,
        corrected=2,
        uncorrected=1,
        xid=79,
        processes=(
            Process(pid=101, name="python3", used_memory=1 << 30, utilization=30),
            Process(pid=102, name="idle"),
        ),
    )
    inside = msgspec.structs.replace(
        second.instances[0],
        processes=(Process(pid=103, name="jax", used_memory=None, utilization=60), Process(pid=101, name="python3")),
    )
    second = msgspec.structs.replace(second, instances=(inside, *second.instances[1:]))
    folder = session_root / "watched"
    build.build(msgspec.structs.replace(made, gpus=(first, second)), str(folder), runner=proc.run)
    return folder


@pytest.fixture
def start(machine: Path, tmp_path: Path) -> Iterator[Callable[[], Watcher]]:
    where = roots.roots_for(None, None, str(machine))
    made: list[Watcher] = []

    def watcher() -> Watcher:
        made.append(Watcher(lambda: watch.driver(where), turns=str(tmp_path), deadline=PATIENT))
        return made[-1]

    yield watcher
    for name in ("faults", "processes"):
        (machine / name).unlink(missing_ok=True)
    for each in made:
        each.close()
        if each._stuck is not None:
            os.kill(each._stuck[0].pid, signal.SIGKILL)
            each._stuck[0]._child.wait()


def answer(told: Answer | Missing) -> Answer:
    assert isinstance(told, Answer), told
    return told


def test_every_reading_of_a_gpu(start: Callable[[], Watcher]) -> None:
    told = answer(start().look(slow=True))
    gpu = told.gpus[0]
    assert (told.driver, told.cuda, told.problems) == ("580.159.04", "13.0", ())
    assert (gpu.index, gpu.bus_id, gpu.minor, gpu.name) == (0, "0000:03:00.0", 0, "NVIDIA H200")
    assert gpu.utilization == Utilization(gpu=40, memory=12, encoder=3, decoder=4)
    reserved = 615 << 20
    assert gpu.memory == Memory(
        total=143771 << 20, used=1 << 30, free=(143771 << 20) - reserved - (1 << 30), reserved=reserved
    )
    assert gpu.temperature == Temperature(gpu=40, memory=46, slowdown=89, shutdown=92)
    assert gpu.power == Power(draw=350.0, limit=700.0, enforced=700.0, default=700.0, lowest=200.0, highest=700.0)
    assert gpu.clocks == gpu.clocks_max == Clocks(graphics=1980, sm=1980, memory=3201, video=1980)
    assert isinstance(gpu.energy, float)
    assert (gpu.fan, gpu.pstate, gpu.throttle, gpu.mig, gpu.persistence) == (55, 0, (), False, True)
    assert gpu.ecc == Ecc(
        enabled=True,
        corrected_volatile=2,
        uncorrected_volatile=1,
        corrected_aggregate=2,
        uncorrected_aggregate=1,
        retired_pending=Missing("nvmlDeviceGetRetiredPagesPendingStatus: Not Supported"),
    )
    assert gpu.remapped == Remapped(corrected=2, uncorrected=1, pending=False, failed=False)
    assert (gpu.pcie.generation, gpu.pcie.width, gpu.pcie.replays) == (5, 16, 0)
    assert (gpu.nvlink.active, gpu.compute_mode) == (18, 0)
    assert (gpu.encoder.sessions, gpu.encoder.fps, gpu.encoder.latency) == (1, 60, 4000)
    assert (gpu.fabric, gpu.recovery, gpu.licensed) == (3, 1, False)
    assert isinstance(told.gpus[1].fabric, Missing)
    assert told.xids == ((gpu.uuid, 79),)


def test_what_changes_slowly_stays_between_slow_looks_and_errors_are_heard_once(start: Callable[[], Watcher]) -> None:
    watcher = start()
    first, second = answer(watcher.look(slow=True)), answer(watcher.look(slow=False))
    assert second.gpus[0].power == first.gpus[0].power
    assert second.gpus[0].energy == first.gpus[0].energy
    assert second.xids == ()


def test_counters_become_rates_at_the_second_slow_look(start: Callable[[], Watcher]) -> None:
    watcher = start()
    first = answer(watcher.look(slow=True)).gpus[0]
    assert isinstance(first.pcie.sent, Missing)
    assert first.profiling.tensor == TWO_LOOKS
    time.sleep(1.1)
    second, divided = answer(watcher.look(slow=True)).gpus
    assert second.pcie.sent == second.pcie.received == 5_120_000  # by GPM: fields 197 and 198 wrap within a second
    assert isinstance(second.nvlink.received, int)
    assert second.nvlink.received > 5 << 20
    assert (second.profiling.graphics, second.profiling.tensor, second.profiling.decoder) == (0.4, 0.2, 0.04)
    assert second.profiling.encoder == Missing("nvmlGpmMetricsGet: Invalid Argument")  # which spoils nothing else
    assert [each.profiling.decoder for each in divided.instances] == [0, 0]
    assert [each.utilization for each in divided.instances] == [60, 0]
    assert [each.utilization for each in answer(watcher.look(slow=False)).gpus[1].instances] == [60, 0]


def test_a_divided_gpu_and_its_processes(start: Callable[[], Watcher]) -> None:
    told = answer(start().look(slow=False))
    gpu = told.gpus[1]
    assert gpu.mig is True
    assert gpu.utilization.gpu == Missing("nvmlDeviceGetUtilizationRates: Not Supported")
    assert gpu.utilization.decoder == Missing("nvmlDeviceGetDecoderUtilization: Not Supported")
    assert [each.profile for each in gpu.instances] == ["3g.71gb", "1g.18gb"]
    assert gpu.instances[0].memory.total == 71168 << 20
    found = {(each.pid, each.gpu, each.gi): each for each in told.processes}
    assert len(found) == len(told.processes) == 4  # no process twice, though the GPU and its instance both list them
    inside = found[103, gpu.uuid, gpu.instances[0].gi]
    assert inside.memory == Missing("NVML does not tell")
    assert isinstance(inside.utilization.gpu, Missing)
    busy, idle = found[101, told.gpus[0].uuid, None], found[102, told.gpus[0].uuid, None]
    assert (busy.memory, busy.utilization.gpu, busy.utilization.memory, busy.kind) == (1 << 30, 30, 15, "C")
    assert idle.utilization.gpu == 0


def test_processes_come_and_go(start: Callable[[], Watcher], machine: Path) -> None:
    watcher = start()
    before = len(answer(watcher.look(slow=False)).processes)
    (machine / "processes").write_text("".join(f"0 {pid} 1048576 0 many\n" for pid in range(1000, 1200)))
    assert len(answer(watcher.look(slow=False)).processes) == before + 200
    (machine / "processes").unlink()
    assert len(answer(watcher.look(slow=False)).processes) == before


@pytest.mark.parametrize("fault", ["hang", "stuck"])
def test_a_driver_that_hangs(fault: str, start: Callable[[], Watcher], machine: Path, tmp_path: Path) -> None:
    watcher = start()
    answer(watcher.look(slow=True))
    (machine / "faults").write_text(f"nvmlDeviceGetPowerUsage {fault}\n")
    watcher._deadline = DEADLINE
    told = watcher.look(slow=False)
    assert isinstance(told, Missing)
    assert told.reason.startswith("NVML gave no answer within 0.6 s")
    if fault == "stuck":
        assert watcher._stuck is not None
        stuck = watcher._stuck[0].pid
        again = watcher.look(slow=True)
        assert isinstance(again, Missing)
        assert f"process {stuck} waits for the driver" in again.reason
        assert watcher._talk is None  # none was started meanwhile
        another = start()
        another._deadline = DEADLINE
        other = another.look(slow=False)  # nor by another gpudock of this user
        assert isinstance(other, Missing)
        assert f"NVML is stuck: process {stuck}" in other.reason
        asked, _ = nvml.ask(
            proc.run, str(watch.driver(roots.roots_for(None, None, str(machine))).library), turn_folder=str(tmp_path)
        )
        assert isinstance(asked, Missing)
        assert f"process {stuck}" in asked.reason
        os.kill(stuck, signal.SIGKILL)
    (machine / "faults").unlink()
    watcher._deadline = PATIENT
    until = time.monotonic() + PATIENT
    while isinstance(told := watcher.look(slow=True), Missing) and time.monotonic() < until:
        time.sleep(0.05)
    assert len(answer(told).gpus) == 2


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("nvmlInit_v2 segfault", "NVML crashed: SIGSEGV"),
        ("nvmlInit_v2 error:18", "nvmlInit_v2: Driver/library version mismatch"),
        ("nvmlSystemGetDriverVersion error:15", "nvmlSystemGetDriverVersion: GPU is lost"),
    ],
)
def test_a_driver_that_fails_is_asked_again(
    fault: str, reason: str, start: Callable[[], Watcher], machine: Path
) -> None:
    watcher = start()
    (machine / "faults").write_text(fault + "\n")
    assert watcher.look(slow=True) == Missing(reason)
    (machine / "faults").unlink()
    watcher._not_before = 0.0
    answer(watcher.look(slow=True))


def test_a_call_that_crashes_takes_only_what_is_asked_with_it(start: Callable[[], Watcher], machine: Path) -> None:
    watcher = start()
    (machine / "faults").write_text("nvmlGpmSampleGet segfault\n")
    told = answer(watcher.look(slow=True))
    assert told.gpus[0].utilization.gpu == 40
    assert told.problems == ("NVML crashed: SIGSEGV, so limits, errors and traffic are not read",)
    (machine / "faults").write_text("nvmlDeviceGetTemperature segfault\n")
    assert watcher.look(slow=False) == Missing("NVML crashed: SIGSEGV")
    (machine / "faults").unlink()
    watcher._not_before = 0.0
    told = answer(watcher.look(slow=True))  # it was not what is asked seldom: that is tried again
    assert (told.gpus[0].power.limit, told.problems) == (700.0, ())


@pytest.mark.parametrize("code", [3, 4])
def test_processes_that_are_not_told_are_unknown_and_not_none(
    code: int, start: Callable[[], Watcher], machine: Path
) -> None:
    kinds = ("Compute", "Graphics", "MPSCompute")
    calls = [f"nvmlDeviceGet{kind}RunningProcesses_v2 error:{code}" for kind in kinds]
    (machine / "faults").write_text("\n".join(calls) + "\n")
    told = answer(start().look(slow=True))
    why = {each.untold.reason for each in told.gpus if each.untold}
    assert (told.processes, told.gpus[0].utilization.gpu, len(why)) == ((), 40, 1)
    assert "nvmlDeviceGetComputeRunningProcesses" in why.pop()
    assert told.problems == ()  # it is said once for all GPUs, and another child would be told no more


def test_what_crashed_is_asked_again_later(start: Callable[[], Watcher], machine: Path) -> None:
    watcher = start()
    (machine / "faults").write_text("nvmlDeviceGetEccMode segfault\n")
    assert isinstance(answer(watcher.look(slow=True)).gpus[0].power.limit, Missing)
    (machine / "faults").unlink()
    assert isinstance(answer(watcher.look(slow=True)).gpus[0].power.limit, Missing)
    watcher._slow_from -= watch.SPARED
    assert answer(watcher.look(slow=True)).gpus[0].power.limit == 700.0


def test_a_driver_that_keeps_failing_is_asked_less_often(start: Callable[[], Watcher], machine: Path) -> None:
    watcher = start()
    (machine / "faults").write_text("nvmlInit_v2 error:9\n")
    for _ in range(2):
        assert watcher.look(slow=True) == Missing("nvmlInit_v2: Driver Not Loaded")
    (machine / "faults").unlink()
    assert watcher.look(slow=True) == Missing("nvmlInit_v2: Driver Not Loaded")  # remembered for a second
    watcher._not_before = 0.0
    answer(watcher.look(slow=True))


def test_a_lost_gpu_does_not_hide_the_other(start: Callable[[], Watcher], machine: Path) -> None:
    watcher = start()
    (machine / "faults").write_text("lost 1\n")
    told = answer(watcher.look(slow=True))
    assert [each.index for each in told.gpus] == [0]
    assert {each.gpu for each in told.processes} == {told.gpus[0].uuid}
    assert told.problems == ("GPU 1: nvmlDeviceGetHandleByIndex_v2: GPU is lost",)
    (machine / "faults").unlink()
    assert len(answer(watcher.look(slow=True)).gpus) == 1
    watcher._began -= watch.RENEW + 1  # later a new child finds it again
    assert len(answer(watcher.look(slow=True)).gpus) == 2


def test_a_gpu_that_falls_off_the_bus_while_it_is_watched_is_said_to_be_lost(
    start: Callable[[], Watcher], machine: Path
) -> None:
    watcher = start()
    assert len(answer(watcher.look(slow=True)).gpus) == 2
    (machine / "faults").write_text("lost 0\n")
    told = answer(watcher.look(slow=False))
    assert [each.index for each in told.gpus] == [1]
    assert {each.gpu for each in told.processes} == {told.gpus[0].uuid}
    assert [each.partition(": ")[0] for each in told.problems] == ["GPU 0"]
    assert told.problems[0].endswith("GPU is lost")
    (machine / "faults").write_text("lost 0\nlost 1\n")
    assert isinstance(watcher.look(slow=False), Missing)


def test_where_all_gpus_are_lost_nothing_is_known(start: Callable[[], Watcher], machine: Path) -> None:
    watcher = start()
    (machine / "faults").write_text("lost 0\nlost 1\n")
    why = "; ".join(f"GPU {index}: nvmlDeviceGetHandleByIndex_v2: GPU is lost" for index in (0, 1))
    assert watcher.look(slow=True) == Missing(why)
    (machine / "faults").unlink()
    assert len(answer(watcher.look(slow=True)).gpus) == 2  # by a new child


def test_errors_that_cannot_be_heard_are_no_reason_for_another_child(
    start: Callable[[], Watcher], machine: Path
) -> None:
    watcher = start()
    (machine / "faults").write_text("nvmlEventSetWait_v2 error:999\n")
    told = answer(watcher.look(slow=True))
    said = "errors that the driver reports cannot be heard: nvmlEventSetWait_v2: Unknown Error"
    assert (len(told.gpus), told.problems) == (2, (said,))
    began = watcher._began = watcher._began - watch.RENEW - 1
    assert answer(watcher.look(slow=True)).problems == (said,)
    assert watcher._began == began


def test_a_reading_that_fails_says_so_and_nothing_else(start: Callable[[], Watcher], machine: Path) -> None:
    watcher = start()
    (machine / "faults").write_text("nvmlDeviceGetTemperature error:15\nnvmlDeviceGetProcessUtilization error:4\n")
    told = answer(watcher.look(slow=True))
    assert told.gpus[0].temperature.gpu == Missing("nvmlDeviceGetTemperature: GPU is lost")
    assert told.gpus[0].temperature.memory == 46
    assert {each.utilization.gpu for each in told.processes if each.gi is None} == {
        Missing("nvmlDeviceGetProcessUtilization: Insufficient Permissions")
    }


def test_another_driver_is_noticed(start: Callable[[], Watcher], machine: Path) -> None:
    watcher = start()
    answer(watcher.look(slow=True))
    assert watcher._talk is not None
    before = watcher._talk.pid
    version = machine / "sys/module/nvidia/version"
    text = version.read_text()
    try:
        version.write_text("580.200.01\n")
        answer(watcher.look(slow=True))
        assert watcher._talk.pid != before
    finally:
        version.write_text(text)


def test_an_old_gpu_tells_less(session_root: Path, tmp_path: Path) -> None:
    folder = session_root / "watched-k80"
    build.build(description.make(1, "K80", "470.256.02"), str(folder), runner=proc.run)
    where = roots.roots_for(None, None, str(folder))
    watcher = Watcher(lambda: watch.driver(where), turns=str(tmp_path))
    try:
        gpu: Gpu = answer(watcher.look(slow=True)).gpus[0]
        assert gpu.ecc.retired_pending is False
        assert isinstance(gpu.remapped.failed, Missing)
        assert gpu.profiling.tensor == Missing("nvmlGpmQueryDeviceSupport: this GPU does not count it")
        assert gpu.pcie.sent == Missing("being measured")
        time.sleep(0.3)
        assert answer(watcher.look(slow=True)).gpus[0].pcie.sent == 0
    finally:
        watcher.close()


def test_no_driver_at_all(tmp_path: Path) -> None:
    watcher = Watcher(lambda: watch.Driver(None, ""), turns=str(tmp_path))
    assert watcher.look(slow=True) == Missing("there is no NVIDIA driver: no libnvidia-ml.so.1")


def test_it_lets_go_of_the_driver(start: Callable[[], Watcher], tmp_path: Path) -> None:
    watcher = start()
    answer(watcher.look(slow=True))
    assert watcher._talk is not None
    talk = watcher._talk
    with nvml_turn.taken(str(tmp_path), 1.0) as turn:  # between two looks the turn is free
        assert isinstance(turn, int)
    watcher.close()
    assert talk.ended is not None
