"""The engine that will run the services, what it can do, and the GPUs of its machine."""

import os
from collections.abc import Mapping
from typing import NamedTuple

from gpudock import proc
from gpudock.compat.compose.ask import Ask
from gpudock.engine import detect, local
from gpudock.engine.asked import QUICK, about
from gpudock.engine.base import Answer, Client
from gpudock.engine.image import Image, understand
from gpudock.engine.offer import Chosen, MissingVariantError, NamesOffer, Offer, PlanOffer
from gpudock.errors import EngineError, RefusedError
from gpudock.plan.document import Plan
from gpudock.plan.request import Request
from gpudock.refresh.paths import Paths

PATIENCE = 5.0  # seconds for NVML, where only somebody else's specification tells of the GPUs


class Tools(NamedTuple):
    """How things are done, and where."""

    run: proc.Runner
    machine: detect.Machine
    here: local.Here
    refresh: local.Refresh | None


class Engine(NamedTuple):
    client: Client
    answer: Answer
    notes: tuple[str, ...]


def engine(own: Mapping[str, str], tools: Tools) -> Engine:
    """The first engine that answers. When none does, the error is that of the first."""
    failures: list[EngineError] = []
    for client in detect.clients(own, tools.machine):
        try:
            answer = client.understand(tools.run(proc.Command(client.question, timeout=QUICK)))
            if answer.problem is not None:
                raise client.unusable(answer.problem)
        except EngineError as error:
            failures.append(error)
        else:
            return Engine(client, answer, tuple(f"{each.what} {client.name} is used instead." for each in failures))
    raise failures[0]


class Gpus(NamedTuple):
    """The machine's GPUs. `plan` is ours, None where somebody else's specification or another machine tells."""

    offer: Offer
    plan: Plan | None = None
    place: Paths | None = None
    folder: str = ""  # of the specification
    notes: tuple[str, ...] = ()


def gpus(found: Engine, tools: Tools) -> Gpus:
    """Raises GpudockError when there is no usable specification."""
    if found.answer.remote:
        from gpudock.engine import remote  # noqa: PLC0415  few engines are elsewhere

        offer, notes = remote.offer(found.answer, found.client.endpoint.address, tools.run)
        return Gpus(offer, notes=notes)
    own = local.own_plan(tools.here, tools.refresh)
    if own is not None:
        plan, place = own
        return Gpus(PlanOffer(plan), plan, place, place.cdi)
    theirs = local.foreign(tools.here)
    if theirs is None:
        raise RefusedError("The CDI specification of this machine has just been removed.", mend="sudo gpudock refresh")
    from gpudock.engine import gpus as nvml  # noqa: PLC0415  only where NVML has to be asked

    driver = local.loaded_driver(tools.here)
    local.check(theirs, driver)
    cuda, known = nvml.of_machine(driver, tools.run).within(PATIENCE)
    offer = NamesOffer(theirs.names, theirs.path, driver, cuda, known)
    return Gpus(offer, folder=os.path.dirname(theirs.path))


def image(found: Engine, name: str, tools: Tools) -> Image | None:
    """What the image says of itself; None when it is not here."""
    return understand(found.client, name, tools.run(proc.Command(about(found.client, name))))


def chosen(found: Gpus, wish: Ask, wanted: tuple[str, ...], tools: Tools, *, named: bool) -> Chosen:
    """The devices for what a service asks. Capabilities that the driver lacks are added where that is allowed."""
    assert wish.request is not None
    request = _by_profile(found, wish) if wish.mig else _by_node(found, wish)
    try:
        return found.offer.choose(request, wanted, named=named)
    except MissingVariantError:
        if tools.refresh is None or found.place is None:
            raise
        return local.renewed(found.place, tools.refresh, wanted).choose(request, wanted, named=named)


def _by_profile(found: Gpus, wish: Ask) -> Request:
    """MIG devices of a profile."""
    assert wish.request is not None
    if found.plan is not None:
        devices = [
            (f"{gpu['index']}:{each['index']}", each["profile"])
            for gpu in found.plan["gpus"]
            for each in gpu["instances"]
        ]
    else:
        known = found.offer.gpus if isinstance(found.offer, NamesOffer) else ()
        devices = [(f"{gpu.index}:{each.index}", str(each.profile)) for gpu in known for each in gpu.instances]
    fitting = tuple(name for name, profile in devices if profile == wish.mig)
    count = wish.request.devices if isinstance(wish.request.devices, int) else max(len(fitting), 1)
    if len(fitting) < count:
        profiles = ", ".join(sorted({profile for _, profile in devices}))
        raise RefusedError(
            f"it asks for {count} MIG devices of profile {wish.mig}, this machine has {len(fitting)}.",
            why=f"it has {len(devices)} MIG devices" + (f" of {profiles}" if profiles else ""),
            mend="see them with nvidia-smi mig -lgi",
        )
    return Request(fitting[:count], wish.request.capabilities, wish.request.source)


def _by_node(found: Gpus, wish: Ask) -> Request:
    """Device nodes have the minor number in their names, which need not be the GPU's index."""
    assert wish.request is not None
    if not wish.nodes or found.plan is None:
        return wish.request
    nodes = [(node, str(gpu["index"])) for gpu in found.plan["gpus"] for node in gpu["nodes"]]
    names = {node["path"]: index for node, index in nodes} | {node["host"]: index for node, index in nodes}
    missing = [node for node in wish.nodes if node not in names]
    if missing:
        raise RefusedError(
            f"devices: {missing[0]} is no GPU of this machine.",
            why="it has " + ", ".join(sorted(names)),
            mend="write gpus: all instead, or gpus: and a number",
        )
    return Request(tuple(names[node] for node in wish.nodes), wish.request.capabilities, wish.request.source)
