"""What a container takes of processors, memory and disks, from its cgroup of version 1 or 2."""

import time

from gpudock.facts.base import Missing
from gpudock.host.root import Root
from gpudock.monitor.cgroup import UNIFIED, folder
from gpudock.monitor.kept import Kept
from gpudock.monitor.sample import Use

UNLIMITED = 1 << 60  # version 1 says "no limit" as the largest multiple of a page
_READ = ("memory", "cpuacct", "blkio")  # controllers of version 1
GONE = Missing("its cgroup cannot be read")


class Uses:
    """Of containers. Processors in use are what they worked between two looks."""

    def __init__(self, sys: Root) -> None:
        self._sys, self._files = sys, Kept(sys)
        self._before: dict[str, tuple[float, float]] = {}

    def look(self, containers: dict[str, tuple[str, dict[str, str]]]) -> dict[str, Use]:
        """`containers`: their ids, and the paths of the cgroups of one process of each, by controller."""
        now = time.monotonic()
        found = {key: self._with_rate(key, self._one(*of), now) for key, of in containers.items()}
        self._files.sweep()
        self._before = {
            each: (now, use.cpu_seconds) for each, use in found.items() if not isinstance(use.cpu_seconds, Missing)
        }
        return found

    def _one(self, container: str, paths: dict[str, str]) -> Use:
        unified = folder(paths.get(UNIFIED, ""), container)
        # Beside version 1 the unified tree only names processes; what they use is told by the others.
        if container in unified and self._sys.stat("/fs/cgroup/cgroup.controllers") is not None:
            return self._version_2(f"/fs/cgroup{unified}")
        if any(container in path for path in paths.values()):
            return self._version_1({each: folder(paths[each], container) for each in _READ if each in paths}, container)
        return Use(**dict.fromkeys(Use.__struct_fields__, Missing("the container has no cgroup of its own")))

    def _with_rate(self, key: str, use: Use, now: float) -> Use:
        before = self._before.get(key)
        cpu: float | Missing
        if isinstance(use.cpu_seconds, Missing):
            cpu = use.cpu_seconds
        elif before is None or now <= before[0]:
            cpu = Missing("needs two looks")
        else:
            cpu = round(max(use.cpu_seconds - before[1], 0.0) / (now - before[0]), 3)
        return Use(
            cpu=cpu,
            cpu_seconds=use.cpu_seconds,
            memory=use.memory,
            memory_limit=use.memory_limit,
            read=use.read,
            written=use.written,
        )

    def _version_2(self, place: str) -> Use:
        used = self._pair(f"{place}/cpu.stat", "usage_usec")
        limit = self._text(f"{place}/memory.max")
        cached = self._pair(f"{place}/memory.stat", "inactive_file") or 0
        read, written = _io(self._files.text(f"{place}/io.stat"), "rbytes=", "wbytes=")
        return Use(
            cpu_seconds=GONE if used is None else used / 1e6,
            memory=_without(self._number(f"{place}/memory.current"), cached),
            memory_limit=None if limit == "max" else int(limit) if limit.isdecimal() else GONE,
            read=read,
            written=written,
        )

    def _version_1(self, paths: dict[str, str], container: str) -> Use:
        def place(controller: str) -> str:
            return f"/fs/cgroup/{controller}{paths.get(controller, '')}"

        if container not in paths.get("memory", ""):
            memory: int | Missing = GONE
            limit: int | Missing | None = GONE
        else:
            cached = self._pair(f"{place('memory')}/memory.stat", "total_inactive_file") or 0
            memory = _without(self._number(f"{place('memory')}/memory.usage_in_bytes"), cached)
            limit = self._number(f"{place('memory')}/memory.limit_in_bytes")
        used = self._number(f"{place('cpuacct')}/cpuacct.usage") if container in paths.get("cpuacct", "") else GONE
        moved = None
        if container in paths.get("blkio", ""):
            moved = self._files.text(f"{place('blkio')}/blkio.throttle.io_service_bytes_recursive")
            moved = self._files.text(f"{place('blkio')}/blkio.throttle.io_service_bytes") if moved is None else moved
        read, written = _io(moved, "Read ", "Write ")
        return Use(
            cpu_seconds=used if isinstance(used, Missing) else used / 1e9,
            memory=memory,
            memory_limit=None if isinstance(limit, int) and limit >= UNLIMITED else limit,
            read=read,
            written=written,
        )

    def _text(self, path: str) -> str:
        return (self._files.text(path) or "").strip()

    def _number(self, path: str) -> int | Missing:
        text = self._text(path)
        return int(text) if text.isdecimal() else GONE

    def _pair(self, path: str, name: str) -> int | None:
        """Of a file with a name and a number on each line."""
        found = f"\n{self._text(path)}\n".partition(f"\n{name} ")[2].partition("\n")[0]
        return int(found) if found.isdecimal() else None


def _without(value: int | Missing, cached: int) -> int | Missing:
    """As engines count it: file contents that can be dropped at once are nobody's need."""
    return value if isinstance(value, Missing) else max(value - cached, 0)


def _io(text: str | None, read: str, written: str) -> tuple[int | Missing, int | Missing]:
    """Added up over devices: "8:0 rbytes=1 wbytes=2 ..." or "8:0 Read 1"; nothing is there before the first of them."""
    if text is None:
        return GONE, GONE
    sums = [0, 0]
    for line in text.splitlines():
        for place, name in enumerate((read, written)):
            _, there, rest = line.partition(f" {name}")
            number = rest.partition(" ")[0]
            if there and number.isdecimal():
                sums[place] += int(number)
    return sums[0], sums[1]
