"""What the watching child asks every ten seconds: limits, counts of errors and traffic, and what takes long to ask."""

import ctypes
import sys
import threading
import time

from gpudock.host.nvml_child import CallError, Handle, Library, known, number
from gpudock.monitor.watch_calls import ALL_LINKS, TWO_LOOKS, field, missing, number_of
from gpudock.monitor.watch_gpm import Profiler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

PERIOD = 10.0  # seconds
SHUTDOWN, SLOWDOWN = 0, 1  # nvmlTemperatureThresholds_t
CORRECTED, UNCORRECTED = 0, 1  # nvmlMemoryErrorType_t
VOLATILE, AGGREGATE = 0, 1  # nvmlEccCounterType_t
SENT, RECEIVED = 0, 1  # nvmlPcieUtilCounter_t
RECOVERY = 230  # a field
FABRIC_V2 = 0x02000024
LICENSES = 1024  # bytes; nvmlGridLicensableFeatures_v4_t has 860
LINKS, LINK_SENT, LINK_RECEIVED = 91, 138, 139  # fields; the last two in KiB, over all links
TOO_FEW = {"is": "missing", "reason": TWO_LOOKS}

Value = dict[str, object]


class Counters:
    """Of one GPU: counters as they were at the last look, which makes them rates, and what never changes."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[float, float]] = {}
        self._clocks_max: Value = {}
        self.blocking: Value = {}  # what Throughput read
        self.profiler = Profiler()
        self.instances: dict[int, Profiler] = {}  # by number of the GPU instance

    def clocks_max(self, ask: "Callable[[str, int], object]") -> Value:
        """They are the same for ever, and each takes 2 ms to ask: once all four were told, that is done."""
        if not self._clocks_max or not all(isinstance(each, int) for each in self._clocks_max.values()):
            names = ("graphics", "sm", "memory", "video")
            self._clocks_max = {name: ask("nvmlDeviceGetMaxClockInfo", kind) for kind, name in enumerate(names)}
        return self._clocks_max

    def rate(self, name: str, value: object) -> object:
        """Of a counter, a second; a value that is missing stays so, and one that went back starts anew."""
        if not isinstance(value, int | float):
            return value
        now = time.monotonic()
        before = self._last.get(name)
        self._last[name] = (now, float(value))
        if before is None or value < before[1] or now <= before[0]:
            return TOO_FEW
        return round((value - before[1]) / (now - before[0]))


class Throughput:
    """Asks for the traffic of GPUs that do not count it: each call measures for 20 ms, so a thread waits for them."""

    def __init__(self, nvml: Library) -> None:
        self._nvml = nvml
        self._asked: list[tuple[Handle, Counters]] = []
        self._thread: threading.Thread | None = None

    def of(self, handle: Handle, counters: Counters) -> Value:
        if not counters.blocking:
            counters.blocking = missing("being measured", "sent", "received")
            self._asked.append((handle, counters))
        if self._thread is None:
            self._thread = threading.Thread(target=self._loop, daemon=True)
            self._thread.start()
        return counters.blocking

    def _loop(self) -> None:
        while True:
            for handle, counters in tuple(self._asked):
                counters.blocking = {
                    "sent": known(self._read, handle, SENT),
                    "received": known(self._read, handle, RECEIVED),
                }
            time.sleep(PERIOD)

    def _read(self, handle: Handle, which: int) -> int:
        return number_of(self._nvml, "nvmlDeviceGetPcieThroughput", handle, which) * 1000  # KB/s


def look(nvml: Library, handle: Handle, counters: Counters, throughput: Throughput) -> "dict[str, object]":
    """Fields of gpudock.monitor.sample.Gpu; of temperature and power only those that change rarely."""

    def ask(name: str, *arguments: int, size: int = 4) -> object:
        return known(lambda: number_of(nvml, name, handle, *arguments, size=size))

    def thousandth(name: str, size: int = 4) -> object:
        return known(lambda: number_of(nvml, name, handle, size=size) / 1000)

    lowest, highest = constraints(nvml, handle)
    profiling = counters.profiler.look(nvml, handle)
    return {
        "temperature": {
            "slowdown": ask("nvmlDeviceGetTemperatureThreshold", SLOWDOWN),
            "shutdown": ask("nvmlDeviceGetTemperatureThreshold", SHUTDOWN),
        },
        "power": {
            "limit": thousandth("nvmlDeviceGetPowerManagementLimit"),
            "enforced": thousandth("nvmlDeviceGetEnforcedPowerLimit"),
            "default": thousandth("nvmlDeviceGetPowerManagementDefaultLimit"),
            "lowest": lowest,
            "highest": highest,
        },
        "energy": thousandth("nvmlDeviceGetTotalEnergyConsumption", 8),
        "clocks_max": counters.clocks_max(ask),
        "ecc": {
            "enabled": known(ecc_mode, nvml, handle),
            "corrected_volatile": ask("nvmlDeviceGetTotalEccErrors", CORRECTED, VOLATILE, size=8),
            "uncorrected_volatile": ask("nvmlDeviceGetTotalEccErrors", UNCORRECTED, VOLATILE, size=8),
            "corrected_aggregate": ask("nvmlDeviceGetTotalEccErrors", CORRECTED, AGGREGATE, size=8),
            "uncorrected_aggregate": ask("nvmlDeviceGetTotalEccErrors", UNCORRECTED, AGGREGATE, size=8),
            "retired_pending": truth(ask("nvmlDeviceGetRetiredPagesPendingStatus")),
        },
        "remapped": remapped(nvml, handle),
        "pcie": {
            **pcie(handle, counters, throughput, profiling),
            "generation": ask("nvmlDeviceGetCurrPcieLinkGeneration"),
            "width": ask("nvmlDeviceGetCurrPcieLinkWidth"),
            "generation_max": ask("nvmlDeviceGetMaxPcieLinkGeneration"),
            "width_max": ask("nvmlDeviceGetMaxPcieLinkWidth"),
            "replays": ask("nvmlDeviceGetPcieReplayCounter"),
        },
        "nvlink": nvlink(nvml, handle, counters),
        "profiling": profiling,
        "encoder": encoder(nvml, handle),
        "fabric": known(fabric, nvml, handle),
        "recovery": known(field, nvml, handle, RECOVERY),
        "licensed": known(licensed, nvml, handle),
        "compute_mode": ask("nvmlDeviceGetComputeMode"),
        "persistence": truth(ask("nvmlDeviceGetPersistenceMode")),
    }


def of_instances(nvml: Library, handle: Handle, counters: Counters, numbers: "set[int]") -> dict[int, Value]:
    """How busy these GPU instances were; those that are gone are forgotten."""
    for gone in counters.instances.keys() - numbers:
        counters.instances.pop(gone).close(nvml)
    return {gi: counters.instances.setdefault(gi, Profiler(gi)).look(nvml, handle) for gi in numbers}


def encoder(nvml: Library, handle: Handle) -> Value:
    names = ("sessions", "fps", "latency")
    out = [ctypes.create_string_buffer(8) for _ in names]
    try:
        nvml.call("nvmlDeviceGetEncoderStats", handle, *out)
    except CallError as error:
        return missing(error, *names)
    return {name: number(each.raw) for name, each in zip(names, out, strict=True)}


def fabric(nvml: Library, handle: Handle) -> int:
    """The state; the call fails on GPUs that are on no NVLink switch."""
    out = ctypes.create_string_buffer(FABRIC_V2.to_bytes(4, sys.byteorder), 64)
    nvml.call("nvmlDeviceGetGpuFabricInfoV", handle, out)
    return number(out.raw, 28, 1)


def licensed(nvml: Library, handle: Handle) -> bool:
    """Whether this virtual GPU has its licence; a whole GPU needs none, and has none."""
    out = ctypes.create_string_buffer(LICENSES)
    nvml.call("nvmlDeviceGetGridLicensableFeatures_v4", handle, out)
    features = min(number(out.raw, 4), 3) if number(out.raw) else 0
    return any(number(out.raw, 8 + 284 * place + 4) for place in range(features))  # featureState


def truth(value: object) -> object:
    return value != 0 if isinstance(value, int) else value


def two(nvml: Library, name: str, handle: Handle) -> tuple[int, int]:
    one, other = ctypes.c_uint(), ctypes.c_uint()
    nvml.call(name, handle, ctypes.byref(one), ctypes.byref(other))
    return one.value, other.value


def constraints(nvml: Library, handle: Handle) -> tuple[object, object]:
    both = known(two, nvml, "nvmlDeviceGetPowerManagementLimitConstraints", handle)
    return (both[0] / 1000, both[1] / 1000) if isinstance(both, tuple) else (both, both)


def ecc_mode(nvml: Library, handle: Handle) -> bool:
    return two(nvml, "nvmlDeviceGetEccMode", handle)[0] == 1


def remapped(nvml: Library, handle: Handle) -> Value:
    names = ("corrected", "uncorrected", "pending", "failed")
    out = [ctypes.create_string_buffer(4) for _ in names]
    try:
        nvml.call("nvmlDeviceGetRemappedRows", handle, *out)
    except CallError as error:
        return missing(error, *names)
    values = [number(each.raw) for each in out]
    return {"corrected": values[0], "uncorrected": values[1], "pending": values[2] != 0, "failed": values[3] != 0}


def pcie(handle: Handle, counters: Counters, throughput: Throughput, profiling: Value) -> Value:
    """By the GPU's own counters; NVML's fields of bytes have 32 bits, which a busy GPU fills several times a second."""
    told = {"sent": profiling["pcie_sent"], "received": profiling["pcie_received"]}
    counts = all(isinstance(each, int) or each == TOO_FEW for each in told.values())
    return told if counts else throughput.of(handle, counters)


def nvlink(nvml: Library, handle: Handle, counters: Counters) -> Value:
    def kib(wanted: int) -> "Callable[[], object]":
        return lambda: int(field(nvml, handle, wanted, ALL_LINKS)) * 1024

    sent, received = known(kib(LINK_SENT)), known(kib(LINK_RECEIVED))
    return {
        "active": known(field, nvml, handle, LINKS),
        "sent": counters.rate("nvlink sent", sent),
        "received": counters.rate("nvlink received", received),
        "sent_total": sent,
        "received_total": received,
    }
