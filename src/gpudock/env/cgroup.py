"""Limits and use as the kernel has them, read from a container's own control group, version 1 or 2. Pure.

What an engine was asked for is one thing; what the kernel enforces is what counts.
"""

from typing import NamedTuple

_V2 = "/sys/fs/cgroup"
FILES = (
    *(f"{_V2}/{name}" for name in ("memory.max", "memory.current", "memory.swap.max", "cpu.max", "pids.max")),
    *(f"{_V2}/{name}" for name in ("pids.current", "cpuset.cpus.effective")),
    *(f"{_V2}/memory/memory.{name}" for name in ("limit_in_bytes", "usage_in_bytes", "memsw.limit_in_bytes")),
    *(f"{_V2}/cpu/cpu.{name}" for name in ("cfs_quota_us", "cfs_period_us")),
    *(f"{_V2}/pids/pids.{name}" for name in ("max", "current")),
    f"{_V2}/cpuset/cpuset.cpus",
)
_UNLIMITED = 1 << 62  # version 1 writes a number near the largest for "no limit"


class Cgroup(NamedTuple):
    """Bytes and counts; None: not limited, or not told. `memory_swap`: memory and swap together, as docker means it."""

    memory: int | None = None
    memory_used: int | None = None
    memory_swap: int | None = None
    cpus: float | None = None
    cpuset: str = ""
    pids: int | None = None
    pids_used: int | None = None


def command() -> tuple[str, ...]:
    """What to run inside: each file that is there, after a line with its name."""
    return ("/bin/sh", "-c", 'for f; do [ -r "$f" ] && echo "== $f" && cat "$f"; done; true', "sh", *FILES)


def read(text: str) -> Cgroup:
    told: dict[str, str] = {}
    for part in text.split("== ")[1:]:
        name, _, value = part.partition("\n")
        told[name.removeprefix(_V2 + "/")] = value.strip()
    version_2 = "memory.max" in told or "cpu.max" in told
    return _version_2(told) if version_2 else _version_1(told)


def _version_2(told: dict[str, str]) -> Cgroup:
    memory, swap = _number(told.get("memory.max")), _number(told.get("memory.swap.max"))
    quota, _, period = told.get("cpu.max", "max").partition(" ")
    cpus = int(quota) / int(period) if quota.isdecimal() and period.isdecimal() and int(period) else None
    return Cgroup(
        memory,
        _number(told.get("memory.current")),
        memory + swap if memory is not None and swap is not None else None,
        cpus,
        told.get("cpuset.cpus.effective", ""),
        _number(told.get("pids.max")),
        _number(told.get("pids.current")),
    )


def _version_1(told: dict[str, str]) -> Cgroup:
    quota, period = _number(told.get("cpu/cpu.cfs_quota_us")), _number(told.get("cpu/cpu.cfs_period_us"))
    return Cgroup(
        _number(told.get("memory/memory.limit_in_bytes")),
        _number(told.get("memory/memory.usage_in_bytes")),
        _number(told.get("memory/memory.memsw.limit_in_bytes")),
        quota / period if quota and period else None,
        told.get("cpuset/cpuset.cpus", ""),
        _number(told.get("pids/pids.max")),
        _number(told.get("pids/pids.current")),
    )


def _number(text: str | None) -> int | None:
    """None for "max", "-1", and the number by which version 1 says the same."""
    if text is None or not text.isdecimal() or int(text) >= _UNLIMITED:
        return None
    return int(text)
