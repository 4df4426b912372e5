"""Where engines keep their data: space, inodes, file system; and the machine's clock."""

import os
import re
import time

from gpudock.facts.base import Missing
from gpudock.facts.setup import Clock, Disk
from gpudock.host.plain import one_line
from gpudock.host.root import Root

_NEWEST = ("/var/lib/dpkg/status", "/var/lib/rpm", "/usr/lib/sysimage/rpm", "/etc/ld.so.cache")
_SYNCHRONISED = "/run/systemd/timesync/synchronized"
_KEEPERS = {"chronyd", "ntpd"}
_ESCAPE = re.compile(r"\\([0-7]{3})")


def of(machine: Root, proc: Root, roots: dict[str, str]) -> tuple[Disk, ...]:
    """`roots`: what uses it -> folder. Those that are not there, or may not be looked at, are left out."""
    found = []
    mounts = _mounts(proc)
    for use, folder in roots.items():
        real = machine.resolve(folder)
        if real is None:
            continue
        try:
            told = os.statvfs(machine.host(real))
        except OSError:
            continue
        kind, options = _mounted(mounts, real)
        found.append(
            Disk(
                path=one_line(folder),
                use=use,
                file_system=kind,
                size=told.f_blocks * told.f_frsize,
                free=told.f_bavail * told.f_frsize,
                inodes=told.f_files,
                inodes_free=told.f_favail,
                options=options,
            )
        )
    return tuple(found)


def _mounts(proc: Root) -> list[tuple[str, str, tuple[str, ...]]]:
    """(mount point, file system, options), as this process sees them."""
    rows = []
    for line in (proc.text("/self/mountinfo", 8 << 20) or "").splitlines():
        left, _, right = line.partition(" - ")
        fields, kind = left.split(" "), right.split(" ")[0]
        if len(fields) > 5:
            point = _ESCAPE.sub(lambda match: chr(int(match[1], 8)), fields[4])
            rows.append((point, one_line(kind), tuple(fields[5].split(","))))
    return rows


def _mounted(mounts: list[tuple[str, str, tuple[str, ...]]], path: str) -> tuple[str | Missing, tuple[str, ...]]:
    best = ""
    kind: str | Missing = Missing("its mount is not seen here")
    options: tuple[str, ...] = ()
    for point, file_system, given in mounts:  # of two on one point the later one covers
        if (path == point or path.startswith(point.rstrip("/") + "/")) and len(point) >= len(best):
            best, kind = point, file_system
            options = tuple(sorted(each for each in given if each in {"ro", "noexec", "nodev", "nosuid"}))
    return kind, options


def clock(machine: Root, services: tuple[str, ...]) -> Clock:
    changes = [int(seen.st_mtime) for path in _NEWEST if (seen := machine.stat(path))]
    kept = bool(machine.stat(_SYNCHRONISED)) or bool(_KEEPERS & {*services})
    unknown = Missing("no service that sets the clock is known here")
    timesync = "systemd-timesyncd" in services
    return Clock(
        now=int(time.time()),
        newest=max(changes) if changes else Missing("no package database"),
        synchronised=True if kept else (False if timesync else unknown),
    )
