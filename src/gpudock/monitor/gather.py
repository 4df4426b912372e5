"""From processes to containers to people: pure, given what was read of each."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from gpudock.engine import labels
from gpudock.facts.base import Missing
from gpudock.monitor.known import Known, Wanted
from gpudock.monitor.owner import COMPOSE_SERVICE, PODMAN_PROJECT, PROJECT, SERVICE, text
from gpudock.monitor.processes import Seen
from gpudock.monitor.sample import Container, Gpu, Owner, Person, Pod, Process, Use


class Home(NamedTuple):
    """What was found out of a process by its id: all of it but what it uses of a GPU."""

    seen: Seen
    place: Wanted | None  # the container that it is in
    hit: Known | None  # what an engine knows of that
    process: Process
    container: Container | None


def home(
    seen: Seen, place: Wanted | None, hit: Known | None, *, user: str, pod: Pod | None, owner: Owner | None
) -> Home:
    """`user`: the name of its account. To make all of this costs more than to fill in what is used at each look."""
    told = hit.container if hit else None
    identity = place.key if place else ""
    process = Process(
        pid=seen.pid,
        gpu="",
        name=seen.name,
        command=seen.command,
        uid=seen.uid,
        user=user,
        started=seen.started,
        container=identity,
        pod=pod,
        job=seen.place.job,
        owner=owner,
    )
    container = Container(
        id=identity,
        engine=hit.engine if hit else "",
        name=told.name[:128] if told else pod.container if pod else "",
        image=told.image[:256] if told else "",
        environment=text(told, labels.ENV),
        project=text(told, PROJECT, PODMAN_PROJECT),
        service=text(told, COMPOSE_SERVICE, SERVICE),
        pod=pod,
        owner=owner,
    )
    return Home(seen, place, hit, process, container if identity else None)


def processes(told: Iterable[Process], homes: Mapping[int, Home]) -> tuple[Process, ...]:
    return tuple(_at_home(each, homes.get(each.pid)) for each in told)


def _at_home(process: Process, home: Home | None) -> Process:
    if home is None:
        return process
    return replace(
        home.process,
        gpu=process.gpu,
        gi=process.gi,
        ci=process.ci,
        kind=process.kind,
        memory=process.memory,
        utilization=process.utilization,
    )


def containers(
    all_processes: Sequence[Process], homes: Mapping[int, Home], uses: Mapping[str, Use]
) -> tuple[Container, ...]:
    """Those that have a process on a GPU, in the order in which they hold most of the GPUs' memory."""
    members: dict[str, list[Process]] = {}
    for each in all_processes:
        if each.container:
            members.setdefault(each.container, []).append(each)
    found = [
        replace(
            container,
            gpus=_gpus(inside),
            memory=total(each.memory for each in inside),
            utilization=total(each.utilization.gpu for each in inside),
            use=uses.get(identity, Use()),
        )
        for identity, inside in members.items()
        if (container := homes[inside[0].pid].container) is not None
    ]
    return tuple(sorted(found, key=lambda each: (-_known(each.memory), each.id)))


def people(all_processes: Sequence[Process]) -> tuple[Person, ...]:
    """Owners with what they have; who holds most GPUs first. Processes without a known owner are nobody's."""
    members: dict[tuple[str, int | None], list[Process]] = {}
    for each in all_processes:
        if each.owner is not None:
            members.setdefault((each.owner.name, each.owner.uid), []).append(each)
    found = [
        Person(
            name=name,
            uid=uid,
            gpus=_gpus(theirs),
            memory=total(each.memory for each in theirs),
            utilization=total(each.utilization.gpu for each in theirs),
            processes=len({each.pid for each in theirs}),
            containers=tuple(dict.fromkeys(each.container for each in theirs if each.container)),
        )
        for (name, uid), theirs in members.items()
    ]
    return tuple(sorted(found, key=lambda each: (-len(each.gpus), -_known(each.memory), each.name)))


def total(values: Iterable[int | Missing]) -> int | Missing:
    """The sum; unknown as soon as one part is."""
    parts = tuple(values)
    try:
        return sum(parts)  # type: ignore[arg-type]
    except TypeError:
        return next(each for each in parts if isinstance(each, Missing))


def held(gpus: Iterable[Gpu], all_processes: Sequence[Process], since: dict[str, float], now: float) -> tuple[Gpu, ...]:
    """The GPUs with the time for which they were held and idle. `since` remembers when that began, by UUID."""
    occupied = {each.gpu for each in all_processes if each.holds}
    result = []
    for gpu in gpus:
        if gpu.uuid in occupied and all(each == 0 for each in gpu.loads):
            gpu = replace(gpu, idle=round(now - since.setdefault(gpu.uuid, now), 1))  # noqa: PLW2901
        else:
            since.pop(gpu.uuid, None)
        result.append(gpu)
    return tuple(result)


def untold(gpus: Iterable[Gpu]) -> tuple[str, ...]:
    """What is said where the driver does not tell who is on a GPU."""
    reasons: dict[str, list[str]] = {}
    for gpu in gpus:
        if gpu.untold:
            reasons.setdefault(gpu.untold.reason, []).append(str(gpu.index))
    return tuple(f"who uses GPU {', '.join(which)} is not told: {why}" for why, which in reasons.items())


def _gpus(of: Iterable[Process]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.gpu for each in of))


def _known(memory: int | Missing) -> int:
    return -1 if isinstance(memory, Missing) else memory
