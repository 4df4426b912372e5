"""How busy the parts of a GPU or GPU instance were since the last look, by its own counters ("GPM", Hopper, later)."""

import contextlib
import ctypes
import math
import struct

from gpudock.host.nvml_child import CallError, Handle, Library, number
from gpudock.monitor.watch_calls import TWO_LOOKS, missing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

VERSION = 1
METRICS = {"graphics": 1, "sm": 2, "occupancy": 3, "tensor": 5, "dram": 10}  # NVML_GPM_METRIC_*
RATES = {"pcie_sent": 20, "pcie_received": 21}  # MiB a second
ENGINES = {"decoder": range(30, 38), "encoder": range(166, 170)}  # one number for each; encoders since driver 575
NAMES = (*METRICS, *RATES, *ENGINES)
METRIC = 40  # bytes of nvmlGpmMetric_t


class Profiler:
    """Of one GPU, or of one GPU instance by its number."""

    def __init__(self, gi: int | None = None) -> None:
        self._gi = gi
        self._before: Handle | None = None

    def look(self, nvml: Library, device: Handle) -> dict[str, object]:
        try:
            now = self._sample(nvml, device)
        except CallError as error:
            self.close(nvml)
            return missing(error, *NAMES)
        before, self._before = self._before, now
        if before is None:
            return missing(TWO_LOOKS, *NAMES)
        found = _between(nvml, before, now)
        _free(nvml, before)
        return found

    def _sample(self, nvml: Library, device: Handle) -> Handle:
        if self._before is None:
            support = ctypes.create_string_buffer(VERSION.to_bytes(4, "little"), 8)
            nvml.call("nvmlGpmQueryDeviceSupport", device, support)
            if not number(support.raw, 4):
                raise CallError("nvmlGpmQueryDeviceSupport", 0, "this GPU does not count it")
        sample = nvml.handle("nvmlGpmSampleAlloc")
        try:
            if self._gi is None:
                nvml.call("nvmlGpmSampleGet", device, sample)
            else:
                nvml.call("nvmlGpmMigSampleGet", device, self._gi, sample)
        except CallError:
            _free(nvml, sample)
            raise
        return sample

    def close(self, nvml: Library) -> None:
        if self._before is not None:
            _free(nvml, self._before)
            self._before = None


def _free(nvml: Library, sample: Handle) -> None:
    with contextlib.suppress(CallError):
        nvml.call("nvmlGpmSampleFree", sample)


def _between(nvml: Library, before: Handle, now: Handle) -> dict[str, object]:
    wanted = {**METRICS, **RATES}
    found: dict[str, object] = {}
    for name, value in zip(wanted, _read(nvml, before, now, tuple(wanted.values())), strict=True):
        if isinstance(value, str):
            found |= missing(value, name)
        else:
            found[name] = round(value * (1 << 20)) if name in RATES else _share(value)
    for name, engines in ENGINES.items():  # each on its own: a driver may refuse all for one that it does not know
        told = _read(nvml, before, now, engines)
        busy = [each for each in told if not isinstance(each, str)]
        found |= {name: _share(max(busy))} if busy else missing(told[0], name)
    return found


def _share(percent: float) -> float:
    return round(min(percent / 100, 1.0), 4)


def _read(nvml: Library, before: Handle, now: Handle, metrics: "Sequence[int]") -> list[float | str]:
    """For each metric its value, or why there is none."""
    # nvmlGpmMetricsGet_t: version, number, two samples, and for each metric its id, result, value and three names
    head = struct.pack("=IIQQ", VERSION, len(metrics), before.value or 0, now.value or 0)
    body = b"".join(struct.pack("=IidQQQ", metric, 0, 0.0, 0, 0, 0) for metric in metrics)
    out = ctypes.create_string_buffer(head + body, len(head) + METRIC * 512)  # a driver may clear all it knows
    try:
        nvml.call("nvmlGpmMetricsGet", out)
    except CallError as error:
        return [str(error)] * len(metrics)
    found: list[float | str] = []
    for place in range(len(metrics)):
        _, code, value = struct.unpack_from("=Iid", out.raw, len(head) + METRIC * place)
        wrong = nvml.words(code) if code else "no number" if math.isnan(value) else ""
        found.append(f"nvmlGpmMetricsGet: {wrong}" if wrong else value)
    return found
