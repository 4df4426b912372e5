"""Our families of containers, people and processes. Their number is bounded: what others name must not fill a database.

Beyond MOST containers or people, those with the least GPU memory are added up as "other".
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from gpudock.facts.base import Missing
from gpudock.monitor.gather import total
from gpudock.monitor.metric import Family, Kind, Metric, Series, Value, written
from gpudock.monitor.sample import Container, Person, Process, Sample, Use
from gpudock.monitor.shares import Tally

MOST = 200
OTHER = "other"


def _family(name: str, what: str, kind: Kind = "gauge") -> Family:
    return Family(f"gpudock_{name}", kind, what)


_INFO = _family("container_info", "Constant 1, labelled with what a container is.")
_MEMORY = _family("container_gpu_memory_bytes", "GPU memory of the container's processes, by GPU.")
_LOAD = _family("container_gpu_utilization_ratio", "Utilization by the container's processes, by GPU.")
_USE: tuple[tuple[Family, Callable[[Use], Value]], ...] = (
    (
        _family("container_cpu_seconds_total", "Processor time of a container with a GPU.", "counter"),
        lambda use: use.cpu_seconds,
    ),
    (_family("container_memory_bytes", "Main memory of a container with a GPU."), lambda use: use.memory),
    (
        _family("container_memory_limit_bytes", "Limit of its main memory; absent: none."),
        lambda use: use.memory_limit,
    ),
    (_family("container_read_bytes_total", "Read from block devices by it.", "counter"), lambda use: use.read),
    (_family("container_written_bytes_total", "Written to block devices by it.", "counter"), lambda use: use.written),
)
_USER_HELD = _family("user_gpus_held", "GPUs that a person has a process on.")
_USER_MEMORY = _family("user_gpu_memory_bytes", "GPU memory of a person's processes.")
_USER_LOAD = _family("user_gpu_utilization_ratio", "Utilization by a person's processes; 2 is two whole GPUs.")
_HELD = _family("user_gpu_held_seconds_total", "GPU-seconds that a person held since gpudock started.", "counter")
_USED = _family(
    "user_gpu_used_seconds_total", "GPU-seconds that a person used since gpudock started; absent: unknown.", "counter"
)
_JOULES = _family(
    "user_gpu_energy_joules_total", "GPU energy of a person since gpudock started; absent: unknown.", "counter"
)
_PROCESS_MEMORY = _family("process_gpu_memory_bytes", "GPU memory of a process.")
_PROCESS_LOAD = _family("process_gpu_utilization_ratio", "Utilization by a process.")

FAMILIES = (
    *(_INFO, _MEMORY, _LOAD, *(family for family, _ in _USE)),
    *(_USER_HELD, _USER_MEMORY, _USER_LOAD, _HELD, _USED, _JOULES),
)
OF_PROCESSES = (_PROCESS_MEMORY, _PROCESS_LOAD)
LABELS = {
    "gpudock_container_info": "container, id, engine, image, user, env, project, service, namespace, pod",
    "gpudock_container_gpu_memory_bytes": "container, id, user, env, uuid",
    "gpudock_container_gpu_utilization_ratio": "container, id, user, env, uuid",
    "gpudock_process_gpu_memory_bytes": "pid, uuid, user, container, program",
    "gpudock_process_gpu_utilization_ratio": "pid, uuid, user, container, program",
}


def labels_of(family: Family) -> str:
    """For the documentation."""
    return LABELS.get(family.name, "user" if "_user_" in family.name else "container, id, user, env")


def metrics(sample: Sample, tally: Tally, *, processes: bool) -> Iterator[Metric]:
    """`processes`: also series with a process id, which come and go."""
    yield from _containers(sample)
    yield from _people(sample.people)
    for family, figures in ((_HELD, tally.held), (_USED, tally.used()), (_JOULES, tally.joules())):
        yield Metric(family, list(_most(figures)))
    if processes:
        yield from _processes(sample)


def _containers(sample: Sample) -> Iterator[Metric]:
    chosen = sample.containers[:MOST]
    names = {each.id: _names(each) for each in chosen}
    yield Metric(_INFO, [(label, 1) for label in {written((*names[each.id], *_more(each))): 1 for each in chosen}])
    groups: dict[str, list[Process]] = {}
    for each in sample.processes:
        if each.container:
            whose = names.get(each.container, (("container", OTHER),))
            groups.setdefault(written((*whose, ("uuid", each.gpu))), []).append(each)
    yield Metric(_MEMORY, [(label, total(each.memory for each in theirs)) for label, theirs in groups.items()])
    yield Metric(_LOAD, [(label, _load(theirs)) for label, theirs in groups.items()])
    uses = {written(names[each.id]): each.use for each in chosen}
    for family, read in _USE:
        yield Metric(family, [(label, read(use)) for label, use in uses.items()])


def _names(container: Container) -> tuple[tuple[str, str], ...]:
    return (
        ("container", container.label),
        ("id", container.id[:12]),
        ("user", container.owner.name if container.owner else ""),
        ("env", container.environment),
    )


def _more(container: Container) -> tuple[tuple[str, str], ...]:
    pod = container.pod
    return (
        ("engine", container.engine),
        ("image", container.image),
        ("project", container.project),
        ("service", container.service),
        ("namespace", pod.namespace if pod else ""),
        ("pod", (pod.name or pod.uid) if pod else ""),
    )


def _people(people: Sequence[Person]) -> Iterator[Metric]:
    yield Metric(_USER_HELD, _of_people(people, lambda some: len({gpu for each in some for gpu in each.gpus})))
    yield Metric(_USER_MEMORY, _of_people(people, lambda some: total(each.memory for each in some)))
    yield Metric(_USER_LOAD, _of_people(people, lambda some: _part(total(each.utilization for each in some))))


def _of_people(people: Sequence[Person], read: Callable[[Sequence[Person]], Value]) -> list[Series]:
    """One series a label: two accounts of one name are one person here, and whoever is called so is of the others."""
    groups: dict[str, list[Person]] = {}
    for place, each in enumerate(people):
        groups.setdefault(_label(each.name, place), []).append(each)
    return [(label, read(group)) for label, group in groups.items()]


def _most(figures: Mapping[str, float | Missing]) -> Iterator[tuple[str, float | Missing]]:
    """A counter must not go back, so who was counted alone is so for ever: those who came first."""
    groups: dict[str, list[float | Missing]] = {}
    for place, (user, value) in enumerate(tuple(figures.items())):
        groups.setdefault(_label(user, place), []).append(value)
    for label, values in groups.items():
        told = [each for each in values if not isinstance(each, Missing)]
        yield label, round(sum(told), 3) if len(told) == len(values) else Missing("not told of all")


def _label(user: str, place: int) -> str:
    return written([("user", user if place < MOST else OTHER)])


def _processes(sample: Sample) -> Iterator[Metric]:
    groups: dict[tuple[int, str], list[Process]] = {}
    for each in sample.processes:
        groups.setdefault((each.pid, each.gpu), []).append(each)
    labels = [(theirs, written(_process(theirs[0], sample))) for theirs in groups.values()]
    yield Metric(_PROCESS_MEMORY, [(label, total(each.memory for each in theirs)) for theirs, label in labels])
    yield Metric(_PROCESS_LOAD, [(label, _load(theirs)) for theirs, label in labels])


def _process(process: Process, sample: Sample) -> Iterator[tuple[str, str]]:
    container = sample.container(process.container)
    yield "pid", str(process.pid)
    yield "uuid", process.gpu
    yield "user", process.owner.name if process.owner else ""
    yield "container", container.label if container else ""
    yield "program", process.name


def _load(processes: Sequence[Process]) -> Value:
    return _part(total(each.utilization.gpu for each in processes))


def _part(percent: int | Missing) -> Value:
    return percent if isinstance(percent, Missing) else percent / 100
