"""How busy the parts of a GPU or GPU instance were since the last look, by its own counters ("GPM", Hopper, later)."""

import ctypes
import math
import struct

from gpudock.host.nvml_child import CallError, Handle, Library, number
from gpudock.monitor.watch_calls import TWO_LOOKS, missing

VERSION = 1
METRICS = {"graphics": 1, "sm": 2, "occupancy": 3, "tensor": 5, "dram": 10}  # NVML_GPM_METRIC_*
RATES = {"pcie_sent": 20, "pcie_received": 21}  # MiB a second
METRIC = 40  # bytes of nvmlGpmMetric_t


class Profiler:
    """Of one GPU, or of one GPU instance by its number."""

    def __init__(self, gi: int | None = None) -> None:
        self._gi = gi
        self._before: Handle | None = None
        self._reason = ""

    def look(self, nvml: Library, device: Handle) -> dict[str, object]:
        names = (*METRICS, *RATES)
        if self._reason:
            return missing(self._reason, *names)
        try:
            now = self._sample(nvml, device)
        except CallError as error:
            self._reason = str(error)  # it will not learn it
            return self.look(nvml, device)
        before, self._before = self._before, now
        if before is None:
            return missing(TWO_LOOKS, *names)
        try:
            return _between(nvml, before, now)
        except CallError as error:
            return missing(error, *names)
        finally:
            nvml.call("nvmlGpmSampleFree", before)

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
            nvml.call("nvmlGpmSampleFree", sample)
            raise
        return sample

    def close(self, nvml: Library) -> None:
        if self._before is not None:
            nvml.call("nvmlGpmSampleFree", self._before)
            self._before = None


def _between(nvml: Library, before: Handle, now: Handle) -> dict[str, object]:
    wanted = {**METRICS, **RATES}
    # nvmlGpmMetricsGet_t: version, number, two samples, and for each metric its id, result, value and three names
    head = struct.pack("=IIQQ", VERSION, len(wanted), before.value or 0, now.value or 0)
    body = b"".join(struct.pack("=IidQQQ", metric, 0, 0.0, 0, 0, 0) for metric in wanted.values())
    out = ctypes.create_string_buffer(head + body, len(head) + METRIC * 512)  # a driver may clear all it knows
    nvml.call("nvmlGpmMetricsGet", out)
    found: dict[str, object] = {}
    for place, name in enumerate(wanted):
        _, code, value = struct.unpack_from("=Iid", out.raw, len(head) + METRIC * place)
        if code or math.isnan(value):
            found |= missing(f"nvmlGpmMetricsGet: {nvml.words(code) if code else 'no number'}", name)
        else:
            found[name] = round(value * (1 << 20)) if name in RATES else round(min(value / 100, 1.0), 4)
    return found
