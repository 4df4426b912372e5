"""Who has how much of each GPU in one Sample: what is added up over time for people, containers and environments."""

from typing import NamedTuple

from gpudock.facts.base import Missing
from gpudock.monitor.sample import Gpu, Process, Sample

NOBODY = "unknown"


class Share(NamedTuple):
    """What one container of one person, or a person's processes outside of containers, have of one GPU."""

    gpu: str  # UUID
    user: str
    container: str  # id, "" outside
    used: float | None  # of the GPU's time, 0 to 1; None: not told
    watts: float | None
    memory: int | None


def shares(sample: Sample) -> list[Share]:
    """The power of a GPU goes to those on it by what they use; while nobody works, in equal parts."""
    gpus = () if isinstance(sample.gpus, Missing) else sample.gpus
    groups: dict[str, dict[tuple[str, str], list[Process]]] = {}
    for process in sample.processes:
        who = process.owner.name if process.owner else NOBODY
        groups.setdefault(process.gpu, {}).setdefault((who, process.container), []).append(process)
    return [share for gpu in gpus for share in _of_gpu(gpu, groups.get(gpu.uuid, {}))]


def _of_gpu(gpu: Gpu, groups: dict[tuple[str, str], list[Process]]) -> list[Share]:
    used = {key: _used(theirs) for key, theirs in groups.items()}
    if gpu.instances:
        used |= {key: _of_instances(gpu, groups, key) for key, known in used.items() if known is None}
    if len(groups) == 1 and not isinstance(gpu.utilization.gpu, Missing):
        used = dict.fromkeys(groups, gpu.utilization.gpu / 100)  # whoever is alone has all of it
    told = [each for each in used.values() if each is not None]
    busy = sum(told) if len(told) == len(used) else 0.0
    draw = None if isinstance(gpu.power.draw, Missing) else gpu.power.draw
    return [
        Share(
            gpu=gpu.uuid,
            user=user,
            container=container,
            used=used[user, container],
            watts=None if draw is None else draw * ((used[user, container] or 0.0) / busy if busy else 1 / len(groups)),
            memory=_memory(theirs),
        )
        for (user, container), theirs in groups.items()
    ]


def _of_instances(gpu: Gpu, groups: dict[tuple[str, str], list[Process]], whose: tuple[str, str]) -> float | None:
    """The driver tells no use of processes on a divided GPU, but what counts for an instance is of whoever is alone."""
    mine = {each.gi for each in groups[whose]}
    shared = {each.gi for key, theirs in groups.items() if key != whose for each in theirs}
    busy = {each.gi: each.utilization for each in gpu.instances}
    told = [value for gi, value in busy.items() if gi in mine - shared and not isinstance(value, Missing)]
    return sum(told) / len(told) / 100 if len(told) == len(mine) else None


def _used(processes: list[Process]) -> float | None:
    total = 0
    for each in processes:
        if isinstance(each.utilization.gpu, Missing):
            return None
        total += each.utilization.gpu
    return min(total / 100, 1.0)


def _memory(processes: list[Process]) -> int | None:
    total = 0
    for each in processes:
        if isinstance(each.memory, Missing):
            return None
        total += each.memory
    return total


class Tally:
    """GPU-seconds of people since the start, for counters. Give it each Sample, in order."""

    MOST = 1000  # people; more would be somebody's invention

    def __init__(self) -> None:
        self._time = 0.0
        self.held: dict[str, float] = {}
        self.used: dict[str, float] = {}
        self.joules: dict[str, float] = {}

    def add(self, sample: Sample, found: list[Share] | None = None) -> None:
        """`found`: its shares, if they were made already."""
        passed = elapsed(self._time, sample)
        self._time = sample.time
        if not passed:
            return
        holders: set[tuple[str, str]] = set()  # whoever has a GPU in two containers holds it once
        for each in shares(sample) if found is None else found:
            user = each.user if each.user in self.held or len(self.held) < self.MOST else NOBODY
            if (user, each.gpu) not in holders:
                holders.add((user, each.gpu))
                self.held[user] = self.held.get(user, 0.0) + passed
            if each.used is not None:
                self.used[user] = self.used.get(user, 0.0) + passed * each.used
            if each.watts is not None:
                self.joules[user] = self.joules.get(user, 0.0) + passed * each.watts


def elapsed(before: float, sample: Sample) -> float:
    """The seconds that a sample stands for; 0 for one that was counted already, and little after a gap."""
    if not before or sample.time <= before:
        return 0.0
    return min(sample.time - before, 3 * sample.interval + sample.took)
