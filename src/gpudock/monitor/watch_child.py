"""The program that watches the GPUs: LIBRARY [LOCK_FD] are its arguments. For each line that it reads it writes one.

A request is "fast\\n" (what changes from second to second) or "slow\\n" (that, and what changes rarely or takes long to
ask). The answer is JSON with the fields of gpudock.monitor.watch.Answer: GPUs and processes have the shape and units of
gpudock.monitor.sample, and what the driver does not tell is {"is": "missing", "reason": WHY}. It ends with its input,
when an answer had an "error", and by SIGALRM when the driver holds it for LIFETIME seconds.

It is a program of its own for the reasons that host.nvml_child has, and lives on because initialising NVML costs more
than all its answers.
"""

import contextlib
import ctypes
import json
import os
import sys
import time

from gpudock.host import nvml_child
from gpudock.host.nvml_child import LIFETIME, NOT_SUPPORTED, CallError, Handle, Library, known
from gpudock.monitor import watch_slow
from gpudock.monitor.watch_calls import field, missing, number_of, percent_of
from gpudock.monitor.watch_running import Running

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TIMEOUT, GPU_IS_LOST = 10, 15  # nvmlReturn_t
XID = 8  # nvmlEventType
MEMORY_TEMPERATURE = 82  # a field
GRAPHICS, SM, MEMORY, VIDEO = range(4)  # nvmlClockType_t
MEMORY_V2 = 0x02000028
MOST_EVENTS = 64  # in one answer
REASONS = (
    "gpu_idle",
    "applications_clocks_setting",
    "sw_power_cap",
    "hw_slowdown",
    "sync_boost",
    "sw_thermal_slowdown",
    "hw_thermal_slowdown",
    "hw_power_brake_slowdown",
    "display_clock_setting",
)  # bits of nvmlDeviceGetCurrentClocksEventReasons, in the words of nvidia-smi

Value = dict[str, object]


class Device:
    """A GPU: its handle, what never changes, what the last slow look told, and both of it as the beginning of JSON."""

    def __init__(self, nvml: Library, index: int) -> None:
        self.handle = nvml.handle("nvmlDeviceGetHandleByIndex_v2 nvmlDeviceGetHandleByIndex", index)
        self.uuid = nvml.text("nvmlDeviceGetUUID", self.handle)
        self.fixed: Value = {
            "index": index,
            "uuid": self.uuid,
            "bus_id": nvml_child.bus_id(nvml, self.handle),
            "minor": nvml_child.minor(nvml, self.handle),
            "name": known(nvml.text, "nvmlDeviceGetName", self.handle),
            "serial": known(nvml.text, "nvmlDeviceGetSerial", self.handle),
            "vbios": known(nvml.text, "nvmlDeviceGetVbiosVersion", self.handle),
            "compute_capability": known(nvml_child.compute_capability, nvml, self.handle),
        }
        self.remember({})
        self.active: dict[int, Value] = {}  # GPU instances, as the last slow look found them
        self.counters = watch_slow.Counters()
        self.running = Running(self.uuid, int((time.time() - 1) * 1e6))
        self._mig: object = None
        self._no_fan: Value = {}

    def remember(self, slow: "dict[str, Any]") -> None:
        self.slow = slow
        apart = {"temperature", "power"}  # of these some readings change from second to second
        same = {name: value for name, value in slow.items() if name not in apart}
        self.beginning = json.dumps({**self.fixed, **same}).removesuffix("}")

    def mig(self, nvml: Library, *, whole: bool, slow: bool) -> object:
        """Whether it is divided. That takes 1 ms to ask, so it is not asked while nothing speaks of a change:

        the use of the `whole` GPU is told only of one that is not divided.
        """
        if slow or self._mig is None or whole == (self._mig is True):
            self._mig = known(nvml_child.mig_mode, nvml, self.handle)
        return self._mig

    def fan(self, nvml: Library, *, slow: bool) -> object:
        """That there is none takes 0.7 ms to be told, so it is asked seldom."""
        if slow or not self._no_fan:
            self._no_fan = {}
            try:
                return number_of(nvml, "nvmlDeviceGetFanSpeed", self.handle)
            except CallError as error:
                told: Value = {"is": "missing", "reason": str(error)}
                if error.code != NOT_SUPPORTED:
                    return told
                self._no_fan = told
        return self._no_fan


class Watch:
    """Everything that is asked of one NVML."""

    def __init__(self, path: str) -> None:
        self.nvml = Library(path)
        self.nvml.call("nvmlInit_v2 nvmlInit")
        self.driver = self.nvml.text("nvmlSystemGetDriverVersion", None)
        self.cuda = known(nvml_child.cuda_version, self.nvml)
        self.throughput = watch_slow.Throughput(self.nvml)
        self.problems: list[str] = []
        self.deaf = ""  # why errors that the driver reports are not heard any more
        self.devices: list[Device] = []
        for index in range(number_of(self.nvml, "nvmlDeviceGetCount_v2 nvmlDeviceGetCount", None)):
            try:
                self.devices.append(Device(self.nvml, index))
            except CallError as error:  # one that fell off the bus must not hide the others
                self.problems.append(f"GPU {index}: {error}")
        self.events = self._event_set()

    def _event_set(self) -> Handle | None:
        try:
            events = self.nvml.handle("nvmlEventSetCreate")
        except CallError:
            return None
        for device in self.devices:
            with contextlib.suppress(CallError):
                self.nvml.call("nvmlDeviceRegisterEvents", device.handle, ctypes.c_ulonglong(XID), events)
        return events

    def answer(self, *, slow: bool) -> str:
        """JSON, put together from pieces: most of it is the same from second to second."""
        problems = list(self.problems)
        gpus: list[str] = []
        processes: list[str] = []
        for device in self.devices:
            if slow:
                device.remember(watch_slow.look(self.nvml, device.handle, device.counters, self.throughput))
            try:
                now = gpu(self.nvml, device, slow=slow)
                divided = migs(self.nvml, device.handle) if now["mig"] is True else []
                now["instances"] = instances(self.nvml, device, divided, slow=slow)
                theirs, untold = self._running(device, divided)
                processes += theirs
                now |= missing(untold, "untold") if untold else {}
                gpus.append(f"{device.beginning}, {json.dumps(now).removeprefix('{')}")
            except CallError as error:
                problems.append(f"GPU {device.fixed['index']}: {error}")
        rest = {
            "time": time.time(),
            "driver": self.driver,
            "cuda": self.cuda,
            "xids": self.xids(),
            "problems": problems,
            "deaf": self.deaf,
        }
        lists = f'"gpus": [{",".join(gpus)}], "processes": [{",".join(processes)}]'
        return f"{{{lists}, {json.dumps(rest).removeprefix('{')}"

    def _running(self, device: Device, divided: "list[Handle]") -> "tuple[list[str], CallError | None]":
        """The processes, and why they are not told. Raises CallError for a GPU that is gone."""
        try:
            return device.running.look(self.nvml, device.handle, divided), device.running.untold
        except CallError as error:
            if error.code == GPU_IS_LOST:
                raise
            return [], error

    def xids(self) -> list[list[object]]:
        """[UUID, code] of each that came since the last answer."""
        found: list[list[object]] = []
        while self.events is not None and len(found) < MOST_EVENTS:
            data = ctypes.create_string_buffer(32)  # nvmlEventData_t
            try:
                self.nvml.call("nvmlEventSetWait_v2 nvmlEventSetWait", self.events, data, 0)
            except CallError as error:
                if error.code != TIMEOUT:
                    self.deaf = f"errors that the driver reports cannot be heard: {error}"
                    self.events = None
                break
            where = nvml_child.number(data.raw, 0, 8)
            uuid = next((each.uuid for each in self.devices if each.handle.value == where), "")
            found.append([uuid, nvml_child.number(data.raw, 16, 8)])
        return found


def gpu(nvml: Library, device: Device, *, slow: bool) -> Value:
    """What changes from second to second, but the instances."""
    handle = device.handle
    rarely = device.slow
    used = utilization(nvml, handle)
    power = known(number_of, nvml, "nvmlDeviceGetPowerUsage", handle)
    return {
        "utilization": used,
        "mig": device.mig(nvml, whole=isinstance(used["gpu"], int), slow=slow),
        "memory": memory(nvml, handle),
        "temperature": {
            "gpu": known(number_of, nvml, "nvmlDeviceGetTemperature", handle, 0),
            "memory": known(field, nvml, handle, MEMORY_TEMPERATURE),
            **rarely.get("temperature", {}),
        },
        "power": {"draw": power / 1000 if isinstance(power, int) else power, **rarely.get("power", {})},
        "clocks": {
            name: known(number_of, nvml, "nvmlDeviceGetClockInfo", handle, kind)
            for kind, name in enumerate(("graphics", "sm", "memory", "video"))
        },
        "fan": device.fan(nvml, slow=slow),
        "pstate": known(pstate, nvml, handle),
        "throttle": known(throttle, nvml, handle),
    }


def utilization(nvml: Library, handle: Handle) -> Value:
    try:
        rates = nvml.ask("nvmlDeviceGetUtilizationRates", handle, 8)
        both: Value = {"gpu": nvml_child.number(rates), "memory": nvml_child.number(rates, 4)}
    except CallError as error:
        both = missing(error, "gpu", "memory")
    return {
        **both,
        "encoder": known(percent_of, nvml, "nvmlDeviceGetEncoderUtilization", handle),
        "decoder": known(percent_of, nvml, "nvmlDeviceGetDecoderUtilization", handle),
    }


def memory(nvml: Library, handle: Handle) -> Value:
    """The second version tells what the driver keeps for itself; the first counts it as used."""
    out = ctypes.create_string_buffer(MEMORY_V2.to_bytes(4, sys.byteorder), 40)
    try:
        nvml.call("nvmlDeviceGetMemoryInfo_v2", handle, out)
    except CallError:
        return memory_v1(nvml, handle)
    names = ("total", "reserved", "free", "used")
    return {name: nvml_child.number(out.raw, 8 + 8 * place, 8) for place, name in enumerate(names)}


def memory_v1(nvml: Library, handle: Handle) -> Value:
    try:
        raw = nvml.ask("nvmlDeviceGetMemoryInfo", handle, 24)
    except CallError as error:
        return missing(error, "total", "reserved", "free", "used")
    found: Value = {name: nvml_child.number(raw, 8 * place, 8) for place, name in enumerate(("total", "free", "used"))}
    return {**found, **missing("this driver counts it as used", "reserved")}


def pstate(nvml: Library, handle: Handle) -> int:
    value = number_of(nvml, "nvmlDeviceGetPerformanceState", handle)
    if value > 15:  # NVML_PSTATE_UNKNOWN
        raise CallError("nvmlDeviceGetPerformanceState", 0, "unknown")
    return value


def throttle(nvml: Library, handle: Handle) -> list[str]:
    names = "nvmlDeviceGetCurrentClocksEventReasons nvmlDeviceGetCurrentClocksThrottleReasons"
    bits = number_of(nvml, names, handle, size=8)
    return [name for place, name in enumerate(REASONS) if bits >> place & 1]


def migs(nvml: Library, handle: Handle) -> list[Handle]:
    found = []
    for index in range(number_of(nvml, "nvmlDeviceGetMaxMigDeviceCount", handle)):
        with contextlib.suppress(CallError):
            found.append(nvml.handle("nvmlDeviceGetMigDeviceHandleByIndex", handle, index))
    return found


def instances(nvml: Library, device: Device, handles: list[Handle], *, slow: bool) -> list[Value]:
    found: list[dict[str, Any]] = []
    for index, mig in enumerate(handles):
        with contextlib.suppress(CallError):  # destroyed meanwhile
            found.append({**nvml_child.instance(nvml, mig, index), "memory": memory(nvml, mig)})
    if slow:
        numbers = {each["gi"] for each in found}
        device.active = watch_slow.of_instances(nvml, device.handle, device.counters, numbers)
    return [{**each, "profiling": device.active.get(each["gi"], {})} for each in found]


def main() -> None:
    path, *turn = sys.argv[1:]
    alarm = ctypes.CDLL(None).alarm
    if turn:  # the lock is ours while the driver holds us; whatever NVML starts must not inherit it
        os.set_inheritable(int(turn[0]), False)
    watch: Watch | None = None
    for line in sys.stdin:
        alarm(LIFETIME)
        try:
            watch = watch or Watch(path)
            answer, failed = watch.answer(slow=line == "slow\n"), False
        except (OSError, CallError) as error:
            answer, failed = json.dumps({"error": str(error)}), True
        document = answer.encode() + b"\n"
        while document:
            document = document[os.write(1, document) :]
        alarm(0)
        if failed:
            break
    os._exit(0)  # as nvml_child: the driver cleans up behind a process
