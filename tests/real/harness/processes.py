"""Processes that belong to a folder, found by what the kernel says of them, and ended one by one."""

import os
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Process:
    pid: int
    started: str  # clock ticks since boot: with the pid it names one process for ever
    command: str = field(compare=False)


def of_folder(folder: Path) -> list[Process]:
    """Processes whose arguments or environment name the folder, and container processes whose root lies in it.

    The calling process is not among them.
    """
    return [process for process in _all() if process.pid != os.getpid() and _belongs(process.pid, os.fsencode(folder))]


def of_cgroup(cgroup: Path) -> list[Process]:
    """Processes in this very cgroup."""
    pids = [int(line) for line in (cgroup / "cgroup.procs").read_text().split()]
    return [process for process in map(_look, pids) if process is not None]


def end(processes: Iterable[Process], patience: float = 5.0) -> None:
    """TERM, and after `patience` seconds KILL, to each process that is still the one named."""
    left = [process for process in processes if _send(process, signal.SIGTERM)]
    deadline = time.monotonic() + patience
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = [process for process in left if _alive(process)]
    for process in left:
        _send(process, signal.SIGKILL)


def _all() -> Iterator[Process]:
    for name in os.listdir("/proc"):
        if name.isdigit():
            process = _look(int(name))
            if process is not None:
                yield process


def _look(pid: int) -> Process | None:
    stat = _read(pid, "stat").rpartition(b") ")[2].split()
    if not stat or stat[0] == b"Z":
        return None
    command = _read(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace").strip()
    return Process(pid, stat[19].decode(), command)


def _belongs(pid: int, folder: bytes) -> bool:
    if folder in _read(pid, "cmdline") or folder in _read(pid, "environ"):
        return True
    return any(line.split()[4] == b"/" and folder in line for line in _read(pid, "mountinfo").splitlines())


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:  # it has ended meanwhile
        return b""


def _alive(process: Process) -> bool:
    return _look(process.pid) == process


def _send(process: Process, number: signal.Signals) -> bool:
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return False
    try:
        if not _alive(process):
            return False
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)
    return True
