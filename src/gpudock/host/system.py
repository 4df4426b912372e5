"""Operating system, kernel and what kind of machine this is."""

import os

from gpudock.facts.base import Missing
from gpudock.facts.system import System
from gpudock.host.plain import one_line
from gpudock.host.root import Root


def read(machine: Root, proc: Root, sys: Root) -> System:
    """`proc` and `sys` are the folders that /proc and /sys stand for."""
    release = _os_release(machine)
    kernel = _line(proc, "/sys/kernel/osrelease")
    return System(
        os_id=release.get("ID") or Missing("os-release has no ID"),
        os_version=release.get("VERSION_ID") or Missing("os-release has no VERSION_ID"),
        os_name=release.get("PRETTY_NAME") or Missing("os-release has no PRETTY_NAME"),
        kernel=kernel or Missing("the kernel does not tell its release"),
        architecture=os.uname().machine,
        boot_id=_line(proc, "/sys/kernel/random/boot_id") or Missing("the kernel does not tell its boot id"),
        cgroup_version=_cgroup_version(sys),
        init=_line(proc, "/1/comm") or Missing("process 1 cannot be seen"),
        wsl="microsoft" in kernel.lower(),
        selinux=_selinux(sys),
    )


def _line(root: Root, path: str) -> str:
    return one_line(root.text(path, limit=4096) or "")


def _os_release(machine: Root) -> dict[str, str]:
    text = machine.text("/etc/os-release") or machine.text("/usr/lib/os-release") or ""
    pairs = (line.partition("=") for line in text.splitlines() if not line.startswith("#"))
    return {name.strip(): _unquoted(value.strip()) for name, _, value in pairs}


def _unquoted(value: str) -> str:
    """os-release values are quoted as in a shell, without expansions."""
    if value[:1] in {'"', "'"} and value[-1:] == value[:1] and len(value) > 1:
        quote, value = value[0], value[1:-1]
        if quote == '"':
            for special in '\\"$`':
                value = value.replace("\\" + special, special)
    return one_line(value)


def _cgroup_version(sys: Root) -> int | Missing:
    """2 only when the unified hierarchy is the whole tree: a hybrid host limits devices through version 1."""
    if sys.stat("/fs/cgroup/cgroup.controllers"):
        return 2
    return 1 if sys.names("/fs/cgroup") else Missing("/sys/fs/cgroup is empty")


def _selinux(sys: Root) -> str | Missing:
    if not sys.stat("/fs/selinux/enforce"):
        return "disabled"
    state = {"1": "enforcing", "0": "permissive"}.get(_line(sys, "/fs/selinux/enforce"))
    return state or Missing("/sys/fs/selinux/enforce cannot be read")
