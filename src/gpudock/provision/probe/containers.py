"""Containers and volumes of the engines of this machine, and our own specification held against its plan."""

import os
from collections.abc import Sequence
from functools import partial

import msgspec

from gpudock.cdi import store
from gpudock.engine import containers
from gpudock.engine.base import KIND, Client
from gpudock.engine.containers import Container
from gpudock.engine.detect import clients, this_machine
from gpudock.errors import GpudockError
from gpudock.facts.base import Missing
from gpudock.facts.container import ContainerFact, Volume
from gpudock.facts.setup import Setup
from gpudock.facts.snapshot import Snapshot
from gpudock.host.later import Later
from gpudock.host.plain import one_line
from gpudock.host.root import Root
from gpudock.plan.quote import quote
from gpudock.proc import Command, Runner
from gpudock.provision.probe import inside
from gpudock.refresh.current import outdated

SECONDS = 5.0
LOOKED_AT = 64  # containers of an engine
_LISTENING = ("nvidia", "gpudock")  # runtimes that read variables
_V1 = "nvidia_driver_"


def complete(snapshot: Snapshot, run: Runner) -> Snapshot:
    """The same with containers, volumes, and whether our specification still fits. What cannot be read is Missing."""
    engines = snapshot.engines if isinstance(snapshot.engines, tuple) else ()
    names = [
        each.name for each in engines if each.name in {"docker", "podman"} and not each.problem and not each.remote
    ]
    machine = this_machine(os.environ)
    found = [client for name in names for client in clients({"engine": name}, machine)]
    asked = [(Later(partial(_of, each, snapshot, run)), Later(partial(_volumes, each, run))) for each in found]
    listed: list[ContainerFact] = []
    volumes: list[Volume] = []
    silent: list[str] = []
    for each, held in asked:
        try:
            listed += each.result()
            volumes += held.result()
        except GpudockError as error:
            silent.append(one_line(f"{error.what} {error.why}"))
    told: tuple[ContainerFact, ...] | Missing = Missing(silent[0]) if silent and not listed else tuple(listed)
    found_here = {"containers": told, "unlisted": tuple(silent), "volumes": tuple(volumes)}
    return msgspec.structs.replace(_with_stale(snapshot), **found_here)


def one(client: Client, name: str, snapshot: Snapshot, run: Runner) -> tuple[ContainerFact, ...]:
    """The container of that name or id, () when this engine has none. Raises EngineError."""
    found = containers.inspected(client, [name], run, timeout=SECONDS)
    return tuple(_fact(client, each, snapshot, run) for each in found)


def _of(client: Client, snapshot: Snapshot, run: Runner) -> Sequence[ContainerFact]:
    found = containers.listed(client, run, stopped=True, timeout=SECONDS)
    facts = [Later(partial(_fact, client, each, snapshot, run)) for each in chosen(found)]
    return [each.result() for each in facts]


def chosen(found: Sequence[Container]) -> list[Container]:
    """Those with GPUs; the running ones first: what has run for days is listed behind all that was tried since."""
    of_interest = [each for each in found if _asked(each) or _old_volumes(each) or each.privileged]
    return sorted(of_interest, key=lambda each: not each.running)[:LOOKED_AT]


def _asked(container: Container) -> bool:
    by_name = any(KIND in each or each.startswith("/dev/nvidia") for each in container.devices)
    visible = container.environment.get("NVIDIA_VISIBLE_DEVICES", "void") not in {"", "none", "void"}
    listens = any(name in container.runtime for name in _LISTENING)
    return container.gpu_request or by_name or (visible and listens)


def _old_volumes(container: Container) -> tuple[str, ...]:
    return tuple(one_line(mount.name) for mount in container.mounts if mount.name.startswith(_V1))


def _fact(client: Client, container: Container, snapshot: Snapshot, run: Runner) -> ContainerFact:
    fact = ContainerFact(
        engine=client.name,
        id=container.id[:12],
        name=_shown(container.name),
        image=_shown(container.image),
        running=container.running,
        runtime=_shown(container.runtime),
        privileged=container.privileged,
        asked=_asked(container),
        v1_volumes=_old_volumes(container),
    )
    if container.state != "running" or container.pid <= 1:  # a paused one's control group may be frozen
        return fact
    seen = inside.look(container.pid, snapshot.nodes, run, Root("/"))
    return msgspec.structs.replace(
        fact,
        nodes=seen.nodes,
        refused=seen.refused if not container.privileged else (),
        renumbered=seen.renumbered,
        driver=seen.driver,
        forgotten=seen.forgotten and not container.privileged,
    )


def _shown(text: str) -> str:
    return one_line(quote(text, 200), 200)


def _volumes(client: Client, run: Runner) -> list[Volume]:
    answer = run(Command((*client.words, "volume", "ls", "--format", "{{.Driver}} {{.Name}}"), timeout=SECONDS))
    rows = (line.split(" ", 1) for line in answer.out.splitlines() if " " in line)
    return [
        Volume(engine=client.name, name=_shown(name), driver=_shown(driver))
        for driver, name in rows
        if driver == "nvidia-docker" or name.startswith(_V1)
    ]


def _with_stale(snapshot: Snapshot) -> Snapshot:
    if not isinstance(snapshot.setup, Setup):
        return snapshot
    ours = {spec.path for spec in snapshot.cdi_specs if spec.plan}
    specs = tuple(
        msgspec.structs.replace(state, stale=_stale(state.path)) if state.path in ours else state
        for state in snapshot.setup.specs
    )
    return msgspec.structs.replace(snapshot, setup=msgspec.structs.replace(snapshot.setup, specs=specs))


def _stale(path: str) -> str | None:
    try:
        return next(iter(map(one_line, outdated(store.load(path)))), None)
    except GpudockError as error:
        return one_line(error.why or error.what)
