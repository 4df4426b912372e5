"""Runs in the container that verify starts, on the interpreter of the host: what is there, what loads, what computes.

Prints one line of JSON. Standard library only; NVIDIA's libraries are called as any CUDA program calls them.
"""

import ctypes
import json
import os
import stat
import sys
import time
from ctypes import byref, c_char_p, c_int, c_size_t, c_uint, c_uint64, c_void_p

COUNT, BLOCK = 1 << 18, 256
PTX = """.version 4.0
.target sm_%d
.address_size 64
.visible .entry check(.param .u64 data, .param .u32 count)
{
    .reg .pred %%p;
    .reg .b32 %%r<6>;
    .reg .b64 %%a<4>;
    ld.param.u64 %%a1, [data];
    ld.param.u32 %%r1, [count];
    mov.u32 %%r2, %%ctaid.x;
    mov.u32 %%r3, %%ntid.x;
    mov.u32 %%r4, %%tid.x;
    mad.lo.u32 %%r2, %%r2, %%r3, %%r4;
    setp.ge.u32 %%p, %%r2, %%r1;
    @%%p bra end;
    cvta.to.global.u64 %%a1, %%a1;
    mul.wide.u32 %%a2, %%r2, 4;
    add.u64 %%a3, %%a1, %%a2;
    ld.global.u32 %%r5, [%%a3];
    mad.lo.u32 %%r5, %%r5, 3, %%r2;
    st.global.u32 [%%a3], %%r5;
end:
    ret;
}
"""  # data[i] = 3 * data[i] + i


class Refused(Exception):  # noqa: N818  what a library answered
    pass


def nodes() -> list[str]:
    found = []
    for name in os.listdir("/dev"):
        path = f"/dev/{name}"
        if name.startswith("nvidia") and stat.S_ISCHR(os.lstat(path).st_mode):
            found.append(path)
    return sorted(found)


def call(library: ctypes.CDLL, name: str, *arguments: object) -> None:
    code = getattr(library, name)(*arguments)
    if code:
        raise Refused(f"{name} gave {code}")


def nvml() -> dict[str, object]:
    library = ctypes.CDLL("libnvidia-ml.so.1")
    call(library, "nvmlInit_v2")
    text, count = ctypes.create_string_buffer(96), c_uint()
    call(library, "nvmlSystemGetDriverVersion", text, c_uint(len(text)))
    version = text.value.decode()
    call(library, "nvmlDeviceGetCount_v2", byref(count))
    uuids = []
    for index in range(count.value):
        handle = c_void_p()
        call(library, "nvmlDeviceGetHandleByIndex_v2", c_uint(index), byref(handle))
        call(library, "nvmlDeviceGetUUID", handle, text, c_uint(len(text)))
        uuids.append(text.value.decode())
    return {"driver": version, "uuids": uuids}


def cuda() -> dict[str, object]:
    library = ctypes.CDLL("libcuda.so.1")
    call(library, "cuInit", c_uint(0))
    version, count = c_int(), c_int()
    call(library, "cuDriverGetVersion", byref(version))
    call(library, "cuDeviceGetCount", byref(count))
    gpus = [_gpu(library, ordinal) for ordinal in range(count.value)]
    return {"cuda": f"{version.value // 1000}.{version.value % 1000 // 10}", "gpus": gpus}


def _gpu(library: ctypes.CDLL, ordinal: int) -> dict[str, object]:
    device, name, major = c_int(), ctypes.create_string_buffer(96), c_int()
    call(library, "cuDeviceGet", byref(device), c_int(ordinal))
    call(library, "cuDeviceGetName", name, c_int(len(name)), device)
    call(library, "cuDeviceGetAttribute", byref(major), c_int(75), device)
    told: dict[str, object] = {"name": name.value.decode()}
    began = time.perf_counter()
    try:
        compute(library, device, 50 if major.value >= 5 else 30)
        told["milliseconds"] = round(1000 * (time.perf_counter() - began), 1)
    except (Refused, AttributeError) as error:
        told["problem"] = str(error)
    return told


def compute(library: ctypes.CDLL, device: c_int, target: int) -> None:
    """A kernel of our own, compiled by the driver, on numbers that are looked at afterwards."""
    context, module, kernel, memory = c_void_p(), c_void_p(), c_void_p(), c_uint64()
    call(library, "cuCtxCreate_v2", byref(context), c_uint(0), device)
    try:
        call(library, "cuModuleLoadData", byref(module), c_char_p((PTX % target).encode()))
        call(library, "cuModuleGetFunction", byref(kernel), module, c_char_p(b"check"))
        data = (c_uint * COUNT)(*range(7, 7 + COUNT))
        size = c_size_t(ctypes.sizeof(data))
        call(library, "cuMemAlloc_v2", byref(memory), size)
        call(library, "cuMemcpyHtoD_v2", memory, data, size)
        given = (c_void_p * 2)(ctypes.addressof(memory), ctypes.addressof(c_uint(COUNT)))
        one, blocks = c_uint(1), c_uint(COUNT // BLOCK)
        call(library, "cuLaunchKernel", kernel, blocks, one, one, c_uint(BLOCK), one, one, c_uint(0), None, given, None)
        call(library, "cuCtxSynchronize")
        call(library, "cuMemcpyDtoH_v2", data, memory, size)
    finally:
        call(library, "cuCtxDestroy_v2", context)
    wrong = sum(value != 3 * (index + 7) + index for index, value in enumerate(data))
    if wrong:
        raise Refused(f"{wrong} of {COUNT} numbers are wrong")


def tried(part: object) -> object:
    try:
        return part()  # type: ignore[operator]
    except (OSError, Refused, AttributeError) as error:
        return {"problem": str(error)}


if __name__ == "__main__":
    sys.stdout.write(json.dumps({"nodes": nodes(), "nvml": tried(nvml), "cuda": tried(cuda)}) + "\n")
