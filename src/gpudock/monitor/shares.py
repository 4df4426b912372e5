"""Who has how much of each GPU in one Sample: what is added up over time for people, containers and environments."""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from gpudock.facts.base import Missing
from gpudock.monitor.sample import Container, Gpu, Process, Sample

NOBODY = "unknown"
NOT_ALL = 0.01  # of the time held may be untold before a figure is unknown

_Key = tuple[str, str]  # user and container
_Groups = dict[_Key, list[Process]]


class Held(NamedTuple):
    """The part of a GPU that a share stands for where shares are added up by one of these.

    A whole GPU is 1, an instance of a divided one counts by its slices. What several shares of the same person (or
    container, or environment) hold together is divided among them: so sums count it once, over any time.
    """

    user: float
    container: float
    env: float
    gpu: float


class Share(NamedTuple):
    """What one container of one person, or a person's processes outside of containers, have of one GPU."""

    gpu: str  # UUID
    user: str
    container: str  # id, "" outside
    label: str  # of the container
    env: str
    held: Held
    used: float | None  # of the whole GPU's time, 0 to 1; None: not told
    watts: float | None
    memory: int | None


def shares(sample: Sample) -> list[Share]:
    """The power of a GPU goes to those on it by what they use; while nobody works, by what they hold."""
    gpus = () if isinstance(sample.gpus, Missing) else sample.gpus
    containers = {each.id: each for each in sample.containers}
    groups: dict[str, _Groups] = {}
    for process in sample.processes:
        if process.holds:
            who = process.owner.name if process.owner else NOBODY
            groups.setdefault(process.gpu, {}).setdefault((who, process.container), []).append(process)
    return [share for gpu in gpus if gpu.uuid in groups for share in _of_gpu(gpu, groups[gpu.uuid], containers)]


def _of_gpu(gpu: Gpu, groups: _Groups, containers: Mapping[str, Container]) -> list[Share]:
    envs = {key: found.environment if (found := containers.get(key[1])) else "" for key in groups}
    sizes = _sizes(gpu)
    members = {gi: list(groups) if gi is None else _on(gi, groups, sizes) for gi in sizes}
    held = _held(sizes, members, envs)
    used = _used(gpu, groups, sizes, members)
    told = [each for each in used.values() if each is not None]
    busy = sum(told) if len(told) == len(used) else 0.0
    occupied = sum(each.gpu for each in held.values())
    draw = None if isinstance(gpu.power.draw, Missing) else gpu.power.draw
    return [
        Share(
            gpu=gpu.uuid,
            user=key[0],
            container=key[1],
            label=containers[key[1]].label if key[1] in containers else "",
            env=envs[key],
            held=held[key],
            used=used[key],
            watts=None if draw is None else draw * ((used[key] or 0.0) / busy if busy else held[key].gpu / occupied),
            memory=_memory(theirs),
        )
        for key, theirs in groups.items()
    ]


def _sizes(gpu: Gpu) -> dict[int | None, float]:
    """The parts in which a GPU is used: its GPU instances by their slices, as Gpu.load counts them, else the whole."""
    slices = {each.gi: each.slices for each in gpu.instances}
    total = sum(slices.values())
    return {gi: count / total for gi, count in slices.items()} or {None: 1.0}


def _on(gi: int, groups: _Groups, sizes: Mapping[int | None, float]) -> list[_Key]:
    """Who is on an instance that the driver does not tell is taken to be on all of them."""
    return [key for key, theirs in groups.items() if any(each.gi == gi or each.gi not in sizes for each in theirs)]


def _held(
    sizes: Mapping[int | None, float], members: Mapping[int | None, list[_Key]], envs: Mapping[_Key, str]
) -> dict[_Key, Held]:
    found: dict[_Key, Held] = {}
    for gi, there in members.items():
        size = sizes[gi]
        users = Counter([user for user, _ in there])
        inside = Counter([container for _, container in there])
        of_envs = Counter([envs[key] for key in there])
        for key in there:
            more = Held(size / users[key[0]], size / inside[key[1]], size / of_envs[envs[key]], size / len(there))
            before = found.get(key)
            found[key] = Held(*map(sum, zip(before, more, strict=True))) if before else more
    return found


def _used(
    gpu: Gpu, groups: _Groups, sizes: Mapping[int | None, float], members: Mapping[int | None, list[_Key]]
) -> dict[_Key, float | None]:
    if len(groups) == 1 and not isinstance(gpu.utilization.gpu, Missing):
        return dict.fromkeys(groups, gpu.utilization.gpu / 100)  # whoever is alone has all of it
    used = {key: _by_processes(theirs) for key, theirs in groups.items()}
    if gpu.instances:
        busy = {each.gi: each.utilization for each in gpu.instances}
        used |= {key: _by_instances(key, busy, sizes, members) for key, known in used.items() if known is None}
    return used


def _by_processes(processes: list[Process]) -> float | None:
    total = 0
    for each in processes:
        if isinstance(each.utilization.gpu, Missing):
            return None
        total += each.utilization.gpu
    return min(total / 100, 1.0)


def _by_instances(
    key: _Key,
    busy: Mapping[int, int | Missing],
    sizes: Mapping[int | None, float],
    members: Mapping[int | None, list[_Key]],
) -> float | None:
    """The driver tells no use of processes on a divided GPU, but what counts for an instance is of whoever is alone."""
    total = 0.0
    for gi, percent in busy.items():
        if key not in members[gi]:
            continue
        if len(members[gi]) > 1 or isinstance(percent, Missing):
            return None
        total += percent / 100 * sizes[gi]
    return total


def _memory(processes: list[Process]) -> int | None:
    total = 0
    for each in processes:
        if isinstance(each.memory, Missing):
            return None
        total += each.memory
    return total


class _Told:
    """A figure of people that the driver does not always tell."""

    def __init__(self) -> None:
        self._total: dict[str, float] = {}
        self._untold: dict[str, float] = {}  # GPU-seconds held without it
        self._last: dict[str, float] = {}  # when it was not told last

    def add(self, user: str, rate: float | None, passed: float, held: float, time: float) -> None:
        if rate is not None:
            self._total[user] = self._total.get(user, 0.0) + passed * rate
        else:
            self._untold[user] = self._untold.get(user, 0.0) + held
            self._last[user] = time

    def of(self, held: Mapping[str, float], time: float) -> dict[str, float | Missing]:
        return {
            user: Missing("the driver does not tell it of all processes")
            if self._last.get(user) == time or self._untold.get(user, 0.0) > NOT_ALL * seconds
            else self._total.get(user, 0.0)
            for user, seconds in tuple(held.items())
        }


class Tally:
    """GPU-seconds of people since the start, for counters. Give it each Sample, in order."""

    MOST = 1000  # people; more would be somebody's invention

    def __init__(self) -> None:
        self._time = 0.0
        self.held: dict[str, float] = {}
        self._used, self._joules = _Told(), _Told()

    def add(self, sample: Sample, found: list[Share] | None = None) -> None:
        """`found`: its shares, if they were made already."""
        passed = elapsed(self._time, sample)
        self._time = sample.time
        if not passed:
            return
        for each in shares(sample) if found is None else found:
            user = each.user if each.user in self.held or len(self.held) < self.MOST else NOBODY
            held = passed * each.held.user
            self.held[user] = self.held.get(user, 0.0) + held
            self._used.add(user, each.used, passed, held, sample.time)
            self._joules.add(user, each.watts, passed, held, sample.time)

    def used(self) -> dict[str, float | Missing]:
        """Missing while not all of it is told, and later if that was more than a hundredth: never silently less."""
        return self._used.of(self.held, self._time)

    def joules(self) -> dict[str, float | Missing]:
        return self._joules.of(self.held, self._time)


def elapsed(before: float, sample: Sample) -> float:
    """The seconds that a sample stands for; 0 for one that was counted already, and little after a gap."""
    if not before or sample.time <= before:
        return 0.0
    return min(sample.time - before, 3 * sample.interval + sample.took)
