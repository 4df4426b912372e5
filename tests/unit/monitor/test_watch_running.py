"""The processes of a GPU as the watching child writes them, from what a driver puts into its buffers."""

import ctypes
import json
import struct
from typing import Any

import pytest

from gpudock.host.nvml_child import NO_INSTANCE, NOT_AVAILABLE, NOT_FOUND, NOT_SUPPORTED, ROOM, TOO_SMALL, CallError
from gpudock.monitor.watch_running import PROCESS, USE, Running

GPU, MIG = ctypes.c_void_p(1), ctypes.c_void_p(2)
Entry = tuple[int, int, int, int]  # pid, memory, GPU instance, compute instance


class Driver:
    """Lists by kind and handle, and samples of use: pid, time and four values."""

    def __init__(self) -> None:
        self.lists: dict[tuple[str, int | None], list[Entry]] = {}
        self.samples: list[tuple[int, ...]] = []
        self.since: list[int] = []
        self.calls = 0
        self.denied = False
        self.refused: set[tuple[str, int]] = set()  # kind and handle: not supported

    def call(self, names: str, device: ctypes.c_void_p, *arguments: Any) -> None:
        self.calls += 1
        if names == "nvmlDeviceGetProcessUtilization":
            out, count, since = arguments
            self.since.append(since.value)
            if self.denied or not self.samples:
                raise CallError(names, 4 if self.denied else NOT_FOUND, "Insufficient Permissions")
            _fill(names, out, count._obj, [struct.pack(USE, *each) for each in self.samples])
            return
        kind = names.removeprefix("nvmlDeviceGet").partition("RunningProcesses")[0]
        if (kind, device.value) in self.refused:
            raise CallError(names, NOT_SUPPORTED, "Not Supported")
        count, out = arguments
        _fill(
            names, out, count._obj, [struct.pack(PROCESS, *each) for each in self.lists.get((kind, device.value), [])]
        )


def _fill(name: str, out: Any, count: ctypes.c_uint, rows: list[bytes]) -> None:
    room, count.value = count.value, len(rows)
    if out is None or room < len(rows):
        raise CallError(name, TOO_SMALL, "Insufficient Size")
    ctypes.memmove(out, b"".join(rows), sum(map(len, rows)))


def host(pid: int, memory: int = 100) -> Entry:
    return (pid, memory, NO_INSTANCE, NO_INSTANCE)


def look(driver: Driver, running: Running, *migs: ctypes.c_void_p) -> list[dict[str, Any]]:
    return [json.loads(each) for each in running.look(driver, GPU, migs)]  # type: ignore[arg-type]


def loads(found: list[dict[str, Any]]) -> dict[int, list[int]]:
    return {each["pid"]: list(each["utilization"].values()) for each in found}


def test_a_process_is_told_with_all_of_its_fields_and_the_uuid_spoils_no_json() -> None:
    driver = Driver()
    driver.lists["Compute", 1] = [host(7)]
    driver.samples = [(7, 1000, 30, 15, 1, 2)]
    assert look(driver, Running('GPU-"0\n', 0)) == [
        {
            "pid": 7,
            "gi": None,
            "ci": None,
            "kind": "C",
            "memory": 100,
            "gpu": 'GPU-"0\n',
            "utilization": {"gpu": 30, "memory": 15, "encoder": 1, "decoder": 2},
        }
    ]


def test_who_is_in_several_lists_is_told_once_with_all_kinds() -> None:
    driver = Driver()
    driver.lists["Compute", 1] = [host(7), (8, 5, 1, 0)]
    driver.lists["Compute", 2] = [(8, 5, 1, 0)]
    driver.lists["Graphics", 1] = [host(7), host(9)]
    found = look(driver, Running("GPU-0", 0), MIG)
    assert [(each["pid"], each["gi"], each["ci"], each["kind"]) for each in found] == [
        (7, None, None, "CG"),
        (8, 1, 0, "C"),
        (9, None, None, "G"),
    ]


def test_memory_that_the_driver_does_not_tell_is_missing() -> None:
    driver = Driver()
    driver.lists["Compute", 1] = [host(7, NOT_AVAILABLE)]
    assert look(driver, Running("GPU-0", 0))[0]["memory"] == {"is": "missing", "reason": "NVML does not tell"}


def test_use_is_the_mean_of_the_samples_since_the_last_look_and_0_without_one() -> None:
    driver, running = Driver(), Running("GPU-0", 500)
    driver.lists["Compute", 1] = [host(7), host(8), host(9)]
    driver.samples = [(7, 1000, 10, 4, 0, 0), (8, 1500, 50, 1, 0, 0), (7, 2000, 30, 6, 0, 0), (9, 1, 7000, 0, 0, 0)]
    assert loads(look(driver, running)) == {7: [20, 5, 0, 0], 8: [50, 1, 0, 0], 9: [0, 0, 0, 0]}
    driver.samples = []
    assert loads(look(driver, running)) == {pid: [0, 0, 0, 0] for pid in (7, 8, 9)}  # not what it was before
    assert (driver.since[0], driver.since[-1]) == (500, 2000)


def test_a_clock_that_was_set_back_hides_no_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    driver, running = Driver(), Running("GPU-0", 9_000_000)
    driver.lists["Compute", 1] = [host(7)]
    monkeypatch.setattr("time.time", lambda: 5.0)
    look(driver, running)
    assert driver.since == [5_000_000]


def test_use_that_may_not_be_read_says_why() -> None:
    driver = Driver()
    driver.lists["Compute", 1] = [host(7)]
    driver.denied = True
    why = "nvmlDeviceGetProcessUtilization: Insufficient Permissions"
    assert look(driver, Running("GPU-0", 0))[0]["utilization"]["decoder"] == {"is": "missing", "reason": why}


def test_more_processes_than_there_is_room_for_are_all_told_and_a_few_are_asked_for_once() -> None:
    driver = Driver()
    driver.lists["Compute", 1] = [host(pid) for pid in range(ROOM)]
    assert len(look(driver, Running("GPU-0", 0))) == ROOM
    assert driver.calls == 3 + 1
    driver.lists["Compute", 1] = [host(pid) for pid in range(5 * ROOM)]
    assert len(look(driver, Running("GPU-0", 0))) == 5 * ROOM


def test_a_driver_that_does_not_tell_the_processes_is_no_free_gpu() -> None:
    driver, running = Driver(), Running("GPU-0", 0)

    def untold(*migs: ctypes.c_void_p) -> tuple[list[int], str]:
        return [each["pid"] for each in look(driver, running, *migs)], str(running.untold or "")

    why = "nvmlDeviceGetComputeRunningProcesses_v2 nvmlDeviceGetComputeRunningProcesses_v3: Not Supported"
    driver.refused = {(kind, 1) for kind in ("Compute", "Graphics", "MPSCompute")}
    assert untold() == ([], why)
    driver.refused.remove(("Graphics", 1))
    driver.lists["Graphics", 1] = [host(9)]
    assert untold() == ([9], why)  # but not those that compute
    assert untold(MIG) == ([9], "")  # which the instances tell
    driver.refused.add(("Compute", 3))
    assert untold(MIG, ctypes.c_void_p(3)) == ([9], why)  # one of them does not
    driver.refused = {("MPSCompute", 1)}
    assert untold() == ([9], "")
