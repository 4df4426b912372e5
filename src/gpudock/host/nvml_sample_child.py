"""The program that asks NVML or CUDA what a plan does not hold: WHAT LIBRARY [LOCK_FD] are its arguments.

WHAT is `limits` (what a GPU could do at most), `status` (what it does now) or `cuda` (what CUDA says of it). Its output
is one JSON document: {"gpus": [...]} in the driver's own units, null for what it does not tell, or {"error": TEXT}. It
is a program of its own for the reasons that nvml_child has, and started like that one.
"""

import ctypes
import os
import sys

from gpudock.host.nvml_child import LIFETIME, CallError, Handle, Library, bus_id, encode, number, running

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

SM, MEMORY = 1, 2  # nvmlClockType_t
SENT, RECEIVED = 0, 1  # nvmlPcieUtilCounter_t
UNCORRECTED, SINCE_LOADED = 1, 0  # nvmlMemoryErrorType_t, nvmlEccCounterType_t
L1, L2, DRAM = 0, 1, 2  # nvmlMemoryLocation_t
MOST_PROCESSES = 32
ATTRIBUTES = {  # CUdevice_attribute
    "constant": 9,
    "multiprocessors": 16,
    "ecc": 32,
    "memory_clock": 36,
    "bus_width": 37,
    "l2_cache": 38,
    "shared": 81,
}


def told(read: "Callable[..., int]", *arguments: object) -> "int | None":
    """The number that `read` gives, None when the driver does not tell it."""
    try:
        return read(*arguments)
    except CallError:
        return None


def value(nvml: Library, name: str, device: Handle, *arguments: int, size: int = 4, at: int = 0) -> int:
    """What a call writes behind its last argument; of a structure, the 8 bytes at `at`."""
    out = ctypes.create_string_buffer(max(size, 64))
    nvml.call(name, device, *arguments, out)
    return number(out.raw, at, size)


def devices(nvml: Library) -> "list[Handle]":
    """Those that can be had: one that fell off the bus must not hide the others."""
    found = []
    for index in range(number(nvml.ask("nvmlDeviceGetCount_v2 nvmlDeviceGetCount", None, 4))):
        try:
            found.append(nvml.handle("nvmlDeviceGetHandleByIndex_v2 nvmlDeviceGetHandleByIndex", index))
        except CallError:
            continue
    return found


def limits(nvml: Library) -> "list[object]":
    all_of_them = devices(nvml)
    return [limits_of(nvml, device, all_of_them) for device in all_of_them]


def limits_of(nvml: Library, device: Handle, others: "list[Handle]") -> "dict[str, object]":
    return {
        "uuid": nvml.text("nvmlDeviceGetUUID", device),
        "power": told(value, nvml, "nvmlDeviceGetPowerManagementLimit", device),
        "bar1": told(lambda: value(nvml, "nvmlDeviceGetBAR1MemoryInfo", device, size=8)),
        "pcie_generation": told(value, nvml, "nvmlDeviceGetMaxPcieLinkGeneration", device),
        "pcie_width": told(value, nvml, "nvmlDeviceGetMaxPcieLinkWidth", device),
        "clock": told(value, nvml, "nvmlDeviceGetMaxClockInfo", device, SM),
        "memory_clock": told(value, nvml, "nvmlDeviceGetMaxClockInfo", device, MEMORY),
        "ancestors": {
            bus_id(nvml, other): told(ancestor, nvml, device, other) for other in others if other is not device
        },
    }


def ancestor(nvml: Library, one: Handle, other: Handle) -> int:
    level = ctypes.c_uint()
    nvml.call("nvmlDeviceGetTopologyCommonAncestor", one, other, ctypes.byref(level))
    return level.value


def status(nvml: Library) -> "list[object]":
    return [status_of(nvml, device) for device in devices(nvml)]


def status_of(nvml: Library, device: Handle) -> "dict[str, object]":
    ecc = ("nvmlDeviceGetMemoryErrorCounter", device, UNCORRECTED, SINCE_LOADED)
    return {
        "uuid": nvml.text("nvmlDeviceGetUUID", device),
        "power": told(value, nvml, "nvmlDeviceGetPowerUsage", device),
        "temperature": told(value, nvml, "nvmlDeviceGetTemperature", device, 0),
        "gpu": told(lambda: value(nvml, "nvmlDeviceGetUtilizationRates", device)),
        "memory": told(lambda: value(nvml, "nvmlDeviceGetUtilizationRates", device, at=4)),
        "encoder": told(coder, nvml, "nvmlDeviceGetEncoderUtilization", device),
        "decoder": told(coder, nvml, "nvmlDeviceGetDecoderUtilization", device),
        "memory_used": told(lambda: value(nvml, "nvmlDeviceGetMemoryInfo", device, size=8, at=16)),
        "bar1_used": told(lambda: value(nvml, "nvmlDeviceGetBAR1MemoryInfo", device, size=8, at=16)),
        "l1_errors": told(lambda: value(nvml, *ecc, L1, size=8)),
        "l2_errors": told(lambda: value(nvml, *ecc, L2, size=8)),
        "memory_errors": told(lambda: value(nvml, *ecc, DRAM, size=8)),
        "clock": told(value, nvml, "nvmlDeviceGetClockInfo", device, SM),
        "memory_clock": told(value, nvml, "nvmlDeviceGetClockInfo", device, MEMORY),
        "received": told(value, nvml, "nvmlDeviceGetPcieThroughput", device, RECEIVED),
        "sent": told(value, nvml, "nvmlDeviceGetPcieThroughput", device, SENT),
        "processes": processes(nvml, device),
    }


def coder(nvml: Library, name: str, device: Handle) -> int:
    percent, period = ctypes.c_uint(), ctypes.c_uint()
    nvml.call(name, device, ctypes.byref(percent), ctypes.byref(period))
    return percent.value


def processes(nvml: Library, device: Handle) -> "list[dict[str, object]] | None":
    """Of compute only."""
    try:
        found = running(nvml, device, "Compute")[:MOST_PROCESSES]
    except CallError:
        return None
    return [{"pid": each["pid"], "name": name_of(nvml, each["pid"]), "memory": memory_of(each)} for each in found]


def name_of(nvml: Library, pid: object) -> "str | None":
    """The program alone: its arguments are nobody's business who only looks at GPUs."""
    out = ctypes.create_string_buffer(256)
    try:
        nvml.call("nvmlSystemGetProcessName", ctypes.c_uint(int(str(pid))), out, 256)
    except CallError:
        return None
    return out.value.decode(errors="replace").partition(" ")[0]


def memory_of(process: "dict[str, object]") -> "int | None":
    used = process["used_memory"]
    return used if isinstance(used, int) else None


def cuda(driver: Library) -> "list[object]":
    """Nothing here makes a context, which would take memory of each GPU."""
    count = number(driver.ask("cuDeviceGetCount", None, 4))
    handles = [ctypes.c_int(number(out_of(driver, "cuDeviceGet", index))) for index in range(count)]
    places = [place(driver, device) for device in handles]
    return [
        {
            "bus_id": here,
            **{name: told(attribute, driver, code, device) for name, code in ATTRIBUTES.items()},
            "memory": told(total, driver, device),
            "peers": [there for other, there in zip(handles, places, strict=True) if peer(driver, device, other)],
        }
        for device, here in zip(handles, places, strict=True)
    ]


def out_of(driver: Library, name: str, *arguments: object, size: int = 4) -> bytes:
    """CUDA writes behind the first argument."""
    out = ctypes.create_string_buffer(size)
    driver.call(name, out, *arguments)
    return out.raw


def attribute(driver: Library, code: int, device: ctypes.c_int) -> int:
    return number(out_of(driver, "cuDeviceGetAttribute", code, device))


def total(driver: Library, device: ctypes.c_int) -> int:
    return number(out_of(driver, "cuDeviceTotalMem_v2", device, size=8), 0, 8)


def place(driver: Library, device: ctypes.c_int) -> str:
    bus, slot, domain = (attribute(driver, code, device) for code in (33, 34, 50))
    return f"{domain:04x}:{bus:02x}:{slot:02x}.0"


def peer(driver: Library, device: ctypes.c_int, other: ctypes.c_int) -> bool:
    if device.value == other.value:
        return False
    try:
        return number(out_of(driver, "cuDeviceCanAccessPeer", device, other)) == 1
    except CallError:
        return False


def answer(what: str, path: str) -> "dict[str, object]":
    try:
        library = Library(path)
        if what == "cuda":
            library.call("cuInit", 0)
            return {"gpus": cuda(library)}
        library.call("nvmlInit_v2 nvmlInit")
        return {"gpus": limits(library) if what == "limits" else status(library)}
    except (OSError, CallError) as error:
        return {"error": str(error)}


def main() -> None:
    what, path, *turn = sys.argv[1:]
    ctypes.CDLL(None).alarm(LIFETIME)
    if turn:  # the lock is ours until we end; whatever the driver starts must not inherit it
        os.set_inheritable(int(turn[0]), False)
        os.write(int(turn[0]), b"%d\n" % os.getpid())
    document = encode(answer(what, path)).encode()
    while document:
        document = document[os.write(1, document) :]
    os._exit(0)  # as nvml_child: the driver cleans up behind a process
