"""What the table shows, as values: processes under their container or person, sorted, filtered, or one container's."""

from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple, TypeVar

from gpudock.facts.base import Missing
from gpudock.monitor import figures, words
from gpudock.monitor.gather import total
from gpudock.monitor.sample import Container, Process, Sample
from gpudock.plan.quote import quote

Group = Literal["container", "person", "none"]
GROUPS: tuple[Group, ...] = ("container", "person", "none")
Sort = Literal["memory", "utilization", "name", "time"]
SORTS: tuple[Sort, ...] = ("memory", "utilization", "name", "time")
HOST = "(host)"  # the group of processes that are in no container
_LONGEST = 64
_Place = float | str | None  # for sorting; None: not known
_T = TypeVar("_T")


class Wanted(NamedTuple):
    group: Group = "container"
    sort: Sort = "memory"
    reverse: bool = False
    filter: str = ""
    follow: str = ""  # id of a container


class Row(NamedTuple):
    """A line of the table. Its texts are harmless to a terminal."""

    key: str
    heading: bool  # of a group
    name: str
    person: str = ""
    gpus: str = ""
    memory: str = ""
    utilization: str = ""
    cpu: str = ""
    host_memory: str = ""
    time: str = ""
    container: str = ""  # id, for what can be done with it


class _Some(NamedTuple):
    """Processes that stand under one heading."""

    key: str
    name: str
    person: str
    processes: tuple[Process, ...]
    container: Container | None


def rows(sample: Sample, wanted: Wanted) -> tuple[Row, ...]:
    containers = {each.id: each for each in sample.containers}
    processes = [each for each in sample.processes if _matches(each, containers.get(each.container), wanted)]
    if wanted.group == "none":
        return tuple(_process(sample, each, containers, "") for each in _sorted(processes, wanted, containers))
    found: list[Row] = []
    for each in _groups(processes, wanted, containers):
        found.append(_heading(sample, each))
        found += (
            _process(sample, one, containers, wanted.group) for one in _sorted(each.processes, wanted, containers)
        )
    return tuple(found)


def nothing(sample: Sample, wanted: Wanted) -> str:
    """Why there are no rows, if there are none."""
    if isinstance(sample.gpus, Missing):
        return "Who uses the GPUs is not known."
    if wanted.filter:
        return "Nothing matches the filter."
    if wanted.follow:
        return "This container is on no GPU any more: Esc goes back."
    return "Who uses the GPUs is not known." if any(gpu.untold for gpu in sample.gpus) else "No process is on a GPU."


def _matches(process: Process, container: Container | None, wanted: Wanted) -> bool:
    if wanted.follow and process.container != wanted.follow:
        return False
    texts = [process.name, process.command, str(process.pid), _person(process, container), process.container]
    if container:
        texts += [container.name, container.image, container.environment, container.project]
    return wanted.filter.lower() in "\n".join(texts).lower()


def _groups(processes: list[Process], wanted: Wanted, containers: dict[str, Container]) -> Iterable[_Some]:
    found: dict[str, list[Process]] = {}
    for each in processes:
        key = each.container if wanted.group == "container" else _person(each, containers.get(each.container))
        found.setdefault(key, []).append(each)
    groups = [_some(key, tuple(its), wanted.group, containers) for key, its in found.items()]
    orders: dict[Sort, Callable[[_Some], _Place]] = {
        "memory": lambda some: _falling(_memory(some)),
        "utilization": lambda some: _falling(_utilization(some)),
        "name": lambda some: some.name.lower(),
        "time": lambda some: min((each.started for each in some.processes if each.started), default=None),
    }
    return _ordered(groups, orders[wanted.sort], lambda some: some.key, reverse=wanted.reverse)


def _some(key: str, processes: tuple[Process, ...], group: Group, containers: dict[str, Container]) -> _Some:
    if group == "person":
        return _Some(key, key or words.UNKNOWN, "", processes, None)
    container = containers.get(key)
    name = (container.label if container else key[:12]) or HOST
    people = sorted({_person(each, container) for each in processes} - {""})
    return _Some(key, name, ", ".join(people), processes, container)


def _heading(sample: Sample, some: _Some) -> Row:
    use = some.container.use if some.container else None
    limit = use.memory_limit if use else None
    return Row(
        key=f"group {some.key}",
        heading=True,
        name=quote(some.name, _LONGEST),
        person=quote(some.person, _LONGEST) if some.person else "",
        gpus=_labels(sample, some.processes),
        memory=words.size(_memory(some)),
        utilization=words.known(_utilization(some), " %"),
        cpu=_cores(use.cpu) if use else "",
        host_memory=(words.size(use.memory) if limit is None else figures.part(use.memory, limit)) if use else "",
        container=some.container.id if some.container else "",
    )


def _process(sample: Sample, process: Process, containers: dict[str, Container], group: Group | Literal[""]) -> Row:
    container = containers.get(process.container)
    where = container.label if container and group != "container" else ""
    person = _person(process, container)
    program = quote(process.name or words.UNKNOWN, _LONGEST)
    return Row(
        key=f"{process.pid} {process.gpu} {process.gi} {process.ci}",
        heading=False,
        name=f"{process.pid} {program}" + (f" · {quote(where)}" if where else ""),
        person="" if group == "person" else quote(person, _LONGEST) if person else words.UNKNOWN,
        gpus=_labels(sample, (process,)),
        memory=words.size(process.memory),
        utilization=words.known(process.utilization.gpu, " %"),
        time=words.span(sample.time + sample.age - process.started) if process.started else words.UNKNOWN,
        container=process.container,
    )


def _sorted(processes: Iterable[Process], wanted: Wanted, containers: dict[str, Container]) -> list[Process]:
    def name(process: Process) -> str:
        container = containers.get(process.container)
        return f"{process.name} {container.label if container else ''}".lower()

    orders: dict[Sort, Callable[[Process], _Place]] = {
        "memory": lambda each: _falling(each.memory),
        "utilization": lambda each: _falling(each.utilization.gpu),
        "name": name,
        "time": lambda each: each.started,
    }
    return _ordered(processes, orders[wanted.sort], lambda each: (each.pid, each.gpu), reverse=wanted.reverse)


def _ordered(
    all_: Iterable[_T], place: Callable[[_T], _Place], then: Callable[[_T], Any], *, reverse: bool
) -> list[_T]:
    """What is not known comes after everything that is, also in reverse."""
    placed = [(place(each), then(each), each) for each in all_]
    known = sorted((each for each in placed if each[0] is not None), key=lambda each: each[:2], reverse=reverse)
    return [each[2] for each in (*known, *(each for each in placed if each[0] is None))]


def _falling(value: float | Missing) -> float | None:
    return None if isinstance(value, Missing) else -value


def _memory(some: _Some) -> int | Missing:
    return total(each.memory for each in some.processes)


def _utilization(some: _Some) -> int | Missing:
    return total(each.utilization.gpu for each in some.processes)


def _cores(value: float | Missing) -> str:
    return words.UNKNOWN if isinstance(value, Missing) else f"{value:.1f}"


def _person(process: Process, container: Container | None) -> str:
    owner = process.owner or (container.owner if container else None)
    return owner.name if owner else process.user


def _labels(sample: Sample, processes: Iterable[Process]) -> str:
    """GPUs as people call them: "0 3", "2:1" for a MIG instance."""
    return " ".join(sorted({_label(sample, each) for each in processes}))


def _label(sample: Sample, process: Process) -> str:
    gpu = sample.gpu(process.gpu)
    if gpu is None:
        return words.UNKNOWN
    if process.gi is None:
        return str(gpu.index)
    found = next((each for each in gpu.instances if (each.gi, each.ci) == (process.gi, process.ci)), None)
    return f"{gpu.index}:{found.index if found else words.UNKNOWN}"
