"""What the kernel and its firmware say: Secure Boot, the nvidia module's file, Xid errors, running daemons."""

import errno
import os
import re

from gpudock.facts.base import Missing
from gpudock.facts.setup import Xid
from gpudock.host.root import Root

LOG = "/dev/kmsg"
RECORD = 8192  # bytes: the kernel gives one record at a time
RECORDS = 200_000
SERVICES = (
    *("nvidia-persistenced", "nv-fabricmanager", "nvidia-imex", "nvidia-docker-plugin", "nvidia-cuda-mps-control"),
    *("dockerd", "containerd", "chronyd", "ntpd", "systemd-timesyncd"),
)
_XID = re.compile(rb"NVRM: Xid \((?:PCI:)?([0-9a-fA-F:.]{4,16})\): (\d{1,4})\b")
_MODULE = re.compile(r"^\S*/nvidia(?:-current)?\.ko(?:\.\w+)?:", re.MULTILINE)
_SECURE_BOOT = "/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
_COMM = 15  # characters that the kernel keeps of a program's name


def secure_boot(sys: Root) -> bool | Missing:
    if not sys.stat("/firmware/efi"):
        return False
    try:
        value = sys.read(_SECURE_BOOT, 64)
    except FileNotFoundError:
        return False
    except OSError as error:
        return Missing(f"the firmware's variable cannot be read: {error.strerror}")
    return value[-1:] == b"\1"


def module_built(machine: Root, release: str | Missing) -> bool | Missing:
    """Whether modprobe would find an nvidia.ko for the running kernel."""
    if isinstance(release, Missing):
        return release
    for folder in ("/lib/modules", "/usr/lib/modules"):
        text = machine.text(f"{folder}/{release}/modules.dep", 16 << 20)
        if text is not None:
            return bool(_MODULE.search(text))
    return Missing(f"there is no /lib/modules/{release}/modules.dep")


def systemd(machine: Root, init: str | Missing) -> int | Missing:
    """Its version; it names its own library after it."""
    if init != "systemd":
        return Missing("process 1 is not systemd")
    for folder in ("/usr/lib/systemd", "/lib/systemd"):
        for name in machine.names(folder):
            match = re.fullmatch(r"libsystemd-shared-(\d{1,5})\b.*\.so", name)
            if match:
                return int(match[1])
    return Missing("there is no libsystemd-shared")


def selinux_devices(sys: Root) -> bool | Missing:
    text = sys.text("/fs/selinux/booleans/container_use_devices", 16)
    return Missing("there is no such boolean") if text is None else text[:1] == "1"


def seccomp(proc: Root) -> bool:
    return proc.stat("/sys/kernel/seccomp/actions_avail") is not None


def services(proc: Root) -> tuple[str, ...]:
    """Which of SERVICES run, by the kernel's short names of processes."""
    short = {name[:_COMM]: name for name in SERVICES}
    found = {
        short[comm]
        for pid in proc.names("/")
        if pid.isdecimal() and (comm := (proc.text(f"/{pid}/comm", 32) or "").strip()) in short
    }
    return tuple(sorted(found))


def xids(path: str = LOG) -> tuple[Xid, ...] | Missing:
    """Of the kernel's own buffer: errors of this boot, as long as it keeps them."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        return Missing(f"the kernel log cannot be read: {error.strerror}")
    counts: dict[tuple[int, str], int] = {}
    try:
        for record in _records(fd):
            match = _XID.search(record)
            if match:
                key = int(match[2]), match[1].decode().lower()
                counts[key] = counts.get(key, 0) + 1
    except OSError as error:
        return Missing(f"the kernel log cannot be read: {error.strerror}")
    finally:
        os.close(fd)
    return tuple(Xid(code=code, bus_id=bus, count=count) for (code, bus), count in sorted(counts.items()))


def _records(fd: int) -> "list[bytes]":
    found: list[bytes] = []
    while len(found) < RECORDS:
        try:
            record = os.read(fd, RECORD)
        except BlockingIOError:
            break
        except OSError as error:
            if error.errno == errno.EPIPE:  # overwritten while it was read: the next one is there
                continue
            raise
        if not record:
            break
        found.append(record)
    return found
