"""What /proc tells of the processes on the GPUs. Each is read at once and then now and then, because a process may get
another name, program, user or cgroup; in between only whether it lives is looked at.
"""

import os
from collections.abc import Mapping
from typing import NamedTuple

from gpudock.host.root import Root
from gpudock.monitor import mounted
from gpudock.monitor.alive import Alive
from gpudock.monitor.cgroup import Place, place

LONGEST = 256  # characters of a command
INITIAL = 0xEFFFFFFC  # inode number of the machine's first pid namespace


class Seen(NamedTuple):
    pid: int
    started: float  # Unix time
    uid: int | None  # real, on the host
    name: str
    command: str  # "" unless commands were asked for
    place: Place


class Processes:
    """`commands`: read command lines too. They hold secrets, so it is nobody's default."""

    def __init__(self, proc: Root, *, commands: bool = False) -> None:
        self._proc, self._commands = proc, commands
        self._known: dict[int, tuple[bytes, Seen]] = {}
        self._seen: dict[int, Seen] = {}
        self._alive = Alive() if proc.folder == "/proc" else None
        self._boot = _boot_time(proc)
        self._tick = os.sysconf("SC_CLK_TCK")

    def look(self, pids: set[int], *, anew: bool = False) -> Mapping[int, Seen]:
        """Those that are there; the same mapping while they are the same processes. `anew`: read all of them again.

        A process that is gone already, or is not ours to see, is missing.
        """
        now: dict[int, tuple[bytes, Seen]] = {}
        living = self._alive.known() if self._alive is not None else set()
        if not anew and pids == self._known.keys() and pids <= living:
            return self._seen
        places: dict[str, Place] = {}  # processes of one container are in one cgroup
        for pid in pids:
            known = self._known.get(pid)
            if known is not None and pid in living and not anew:
                now[pid] = known
                continue
            try:
                stat = self._proc.read(f"/{pid}/stat", 4096)
            except OSError:
                continue
            start = stat.rpartition(b")")[2].split()[19:20]
            before = known[1] if known is not None and [known[0]] == start else None
            if known is not None and before is not None and not anew:
                now[pid] = known
            elif start:
                if self._alive is not None and pid not in living:
                    self._alive.watch(pid)  # before the rest is read, so that all of it is of one process
                now[pid] = (start[0], self._read(pid, stat, int(start[0]), places, before))
        if self._alive is not None:
            for pid in self._known.keys() - now.keys():
                self._alive.forget(pid)
        self._known, self._seen = now, {pid: seen for pid, (_, seen) in now.items()}
        return self._seen

    def _read(self, pid: int, stat: bytes, start: int, places: dict[str, Place], before: Seen | None) -> Seen:
        name = stat.partition(b"(")[2].rpartition(b")")[0].decode(errors="replace")
        cgroup = self._proc.text(f"/{pid}/cgroup", 1 << 16) or ""
        found = places[cgroup] = places.get(cgroup) or place(cgroup)
        if before is not None and before.place.paths == found.paths:
            found = before.place  # what is mounted takes long to read
        elif not found.ids and (ids := mounted.ids(self._proc, pid)):
            found = found._replace(ids=ids, by_mounts=True)
        seen = Seen(
            pid=pid,
            started=self._boot + start / self._tick,
            uid=_uid(self._proc.text(f"/{pid}/status", 8192) or ""),
            name=name,
            command=self._command(pid) if self._commands else "",
            place=found,
        )
        return before if seen == before else seen

    def _command(self, pid: int) -> str:
        words = (self._proc.text(f"/{pid}/cmdline", 4 * LONGEST) or "").rstrip("\0").split("\0")
        return " ".join(words)[:LONGEST]


def own_namespace(proc: Root) -> bool:
    """Whether processes have other numbers here than the driver tells: in a container without --pid=host."""
    link = proc.readlink("/self/ns/pid") or ""
    return link.startswith("pid:[") and link != f"pid:[{INITIAL}]"


def _uid(status: str) -> int | None:
    for line in status.split("\n"):  # the name of a program may have all other characters that end a line
        if line.startswith("Uid:"):
            words = line.split()
            return int(words[1]) if len(words) > 1 and words[1].isdecimal() else None
    return None


def _boot_time(proc: Root) -> float:
    for line in (proc.text("/stat", 1 << 20) or "").splitlines():
        if line.startswith("btime "):
            return float(line.split()[1])
    return 0.0
