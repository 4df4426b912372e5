"""Takes device nodes away from a running container behind its engine's back, as systemd does at a daemon-reload."""

import ctypes
import os
import struct
from pathlib import Path

from real.harness.commands import run

_CGROUPS = Path("/sys/fs/cgroup")
_BPF = {"x86_64": 321, "aarch64": 280}  # the system call
_LOAD, _ATTACH, _CGROUP_DEVICE, _ALLOW_MULTI = 5, 8, (15, 6), 2  # program type and attach type of device rules
_ALWAYS_NO = struct.pack("<BBhi", 0xB7, 0, 0, 0) + struct.pack("<BBhi", 0x95, 0, 0, 0)  # r0 = 0; exit


def group(pid: int) -> Path:
    """The folder of the control group that rules a process's devices."""
    rows = [line.split(":", 2) for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()]
    for _, names, path in rows:
        if "devices" in names.split(","):
            return _CGROUPS / "devices" / path.lstrip("/")
    return _CGROUPS / rows[-1][2].lstrip("/")


def forbid(pid: int, major: int) -> None:
    """Devices of this major (cgroup version 2: all devices) are forbidden to the process's control group."""
    folder = group(pid)
    if (folder / "devices.deny").exists():
        for rule in (folder / "devices.list").read_text().splitlines():  # only the very rules can be taken away
            if rule.startswith(f"c {major}:"):
                (folder / "devices.deny").write_text(rule)
        return
    program = _bpf(_LOAD, _load_attributes())
    target = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _bpf(_ATTACH, struct.pack("<IIII", target, program, _CGROUP_DEVICE[1], _ALLOW_MULTI))
    finally:
        os.close(target)
        os.close(program)


_code = ctypes.create_string_buffer(_ALWAYS_NO, len(_ALWAYS_NO))
_license = ctypes.create_string_buffer(b"GPL")


def _load_attributes() -> bytes:
    pointers = ctypes.addressof(_code), ctypes.addressof(_license)
    return struct.pack("<IIQQIIQII", _CGROUP_DEVICE[0], len(_ALWAYS_NO) // 8, *pointers, 0, 0, 0, 0, 0)


def _bpf(command: int, attributes: bytes) -> int:
    number = _BPF[run(["uname", "-m"]).stdout.strip()]
    held = ctypes.create_string_buffer(attributes, len(attributes))
    libc = ctypes.CDLL(None, use_errno=True)
    done: int = libc.syscall(ctypes.c_long(number), command, held, len(attributes))
    if done < 0:
        raise OSError(ctypes.get_errno(), "bpf")
    return done
