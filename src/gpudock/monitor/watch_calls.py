"""How the watching child calls NVML: one number at a time, each a value or the reason why there is none."""

import ctypes
import struct
import sys

from gpudock.host.nvml_child import CallError, Handle, Library, number

ALL_LINKS = 0xFFFFFFFF
TWO_LOOKS = "needs two looks, ten seconds apart"
_DOUBLE, _SIGNED = {0}, {4, 5}  # nvmlValueType_t
_ROOM = ctypes.c_char * 64
_SIZES = {1: 4, 2: 8, 3: 8, 4: 8, 5: 4, 6: 2}


def number_of(nvml: Library, names: str, device: Handle | None, *arguments: int, size: int = 4, at: int = 0) -> int:
    """The number that a call writes behind its last argument; of a structure, the one at `at`."""
    out = _ROOM()
    nvml.call(names, *([] if device is None else [device]), *arguments, out)
    return number(out.raw, at, size)


def missing(reason: object, *names: str) -> dict[str, object]:
    """Each of these could not be read, for the same reason."""
    return {name: {"is": "missing", "reason": str(reason)} for name in names}


def percent_of(nvml: Library, name: str, device: Handle) -> int:
    """Of the calls that tell a period behind the value."""
    percent, period = ctypes.c_uint(), ctypes.c_uint()
    nvml.call(name, device, ctypes.byref(percent), ctypes.byref(period))
    return percent.value


def field(nvml: Library, device: Handle, wanted: int, scope: int = 0) -> int | float:
    """One field by its number (NVML_FI_DEV_...)."""
    # nvmlFieldValue_t: fieldId, scopeId, timestamp, latency, valueType, nvmlReturn, value
    out = ctypes.create_string_buffer(struct.pack("=IIqqIIQ", wanted, scope, 0, 0, 0, 0, 0), 40)
    nvml.call("nvmlDeviceGetFieldValues", device, 1, out)
    _, _, _, _, kind, code, _ = struct.unpack("=IIqqIIQ", out.raw)
    if code:
        raise CallError(f"field {wanted}", code, nvml.words(code))
    if kind in _DOUBLE:
        return float(struct.unpack_from("=d", out.raw, 32)[0])
    size = _SIZES.get(kind, 4)
    return int.from_bytes(out.raw[32 : 32 + size], sys.byteorder, signed=kind in _SIGNED)
