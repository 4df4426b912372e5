"""What the watching child does not ask each second, and when it asks again; real/test_watch starts it."""

import ctypes
from typing import Any, cast

import pytest

from gpudock.host.nvml_child import NOT_SUPPORTED, CallError, Library
from gpudock.monitor.watch_child import Device, gpu
from gpudock.monitor.watch_slow import Counters

LOST = 15


class Nvml:
    """A driver with one GPU, which counts how often each call was made."""

    def __init__(self) -> None:
        self.calls: dict[str, int] = {}
        self.divided = False
        self.fan: int | CallError = 40

    def handle(self, *_: object) -> ctypes.c_void_p:
        return ctypes.c_void_p(1)

    def text(self, *_: object) -> str:
        return "GPU-0"

    def ask(self, names: str, _device: object, size: int) -> bytes:
        self._count(names)
        if names == "nvmlDeviceGetUtilizationRates" and self.divided:
            raise CallError(names, NOT_SUPPORTED, "Not Supported")
        return b"0000:03:00.0".ljust(size, b"\0") if "PciInfo" in names else bytes(size)

    def call(self, names: str, *arguments: Any) -> None:
        self._count(names)
        if names == "nvmlDeviceGetMigMode":
            arguments[1].value = bytes([self.divided])
        elif names == "nvmlDeviceGetFanSpeed":
            if isinstance(self.fan, CallError):
                raise self.fan
            arguments[-1].value = bytes([self.fan])

    def _count(self, name: str) -> None:
        self.calls[name] = self.calls.get(name, 0) + 1


@pytest.fixture
def nvml() -> Nvml:
    return Nvml()


@pytest.fixture
def device(nvml: Nvml) -> Device:
    return Device(cast("Library", nvml), 0)


def look(nvml: Nvml, device: Device, *, slow: bool = False) -> dict[str, Any]:
    return gpu(cast("Library", nvml), device, slow=slow)


def test_whether_a_gpu_is_divided_is_asked_at_slow_looks_and_as_soon_as_it_may_have_changed(
    nvml: Nvml, device: Device
) -> None:
    found = []
    for divided in (False, False, True, True, True, False, False):
        nvml.divided = divided
        found.append((look(nvml, device)["mig"], nvml.calls["nvmlDeviceGetMigMode"]))
    assert found == [(False, 1), (False, 1), (True, 2), (True, 2), (True, 2), (False, 3), (False, 3)]
    look(nvml, device, slow=True)
    assert nvml.calls["nvmlDeviceGetMigMode"] == 4


def test_a_fan_is_asked_each_time_and_one_that_is_not_there_at_slow_looks(nvml: Nvml, device: Device) -> None:
    speeds = []
    for speed in (40, 55):
        nvml.fan = speed
        speeds.append(look(nvml, device)["fan"])
    assert speeds == [40, 55]
    nvml.fan = CallError("nvmlDeviceGetFanSpeed", NOT_SUPPORTED, "Not Supported")
    missing = [look(nvml, device)["fan"] for _ in range(3)]
    assert missing == [{"is": "missing", "reason": "nvmlDeviceGetFanSpeed: Not Supported"}] * 3
    assert nvml.calls["nvmlDeviceGetFanSpeed"] == 3
    nvml.fan = 20
    assert [look(nvml, device, slow=True)["fan"], look(nvml, device)["fan"]] == [20, 20]


def test_a_fan_that_could_not_be_read_is_asked_again_at_once(nvml: Nvml, device: Device) -> None:
    nvml.fan = CallError("nvmlDeviceGetFanSpeed", LOST, "GPU is lost")
    assert look(nvml, device)["fan"] == {"is": "missing", "reason": "nvmlDeviceGetFanSpeed: GPU is lost"}
    nvml.fan = 30
    assert look(nvml, device)["fan"] == 30


def test_the_highest_clocks_are_asked_until_all_of_them_are_told() -> None:
    told: list[object] = [1980, 1980, {"is": "missing", "reason": "no"}, 1980, 1980, 1980, 3201, 1980]
    counters, left = Counters(), list(told)
    found = [counters.clocks_max(lambda *_: left.pop(0)) for _ in range(3)]
    assert [list(each.values()) for each in found] == [told[:4], told[4:], told[4:]]
