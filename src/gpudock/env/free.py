"""Which GPUs nobody has: a bare number means free ones, and not the first ones for everybody."""

import re
from collections.abc import Iterable, Iterator

from gpudock.engine import containers, gpus, labels, local
from gpudock.engine.containers import Container
from gpudock.env.session import Session
from gpudock.errors import GpudockError
from gpudock.plan.request import ALL, Request
from gpudock.plan.select import select

_PATIENT = 1.0  # seconds for the driver to tell what runs on its GPUs
_NODE = re.compile(r"(?:/nvidia|nvidia\.com/gpu=)([0-9]+(?::[0-9]+)?)(?:\.|$)")


def request(session: Session, asked: Request, here: local.Here) -> Request:
    """The request with free devices for its number; as it is when it names some, or when nobody can tell."""
    if not isinstance(asked.devices, int) or session.remote:
        return asked
    try:
        found = local.own_plan(here, None)
    except GpudockError:
        return asked  # what is wrong is said by who decides
    if found is None:
        return asked
    plan, _ = found
    names = tuple(device.name for device in select(plan, Request(ALL)))
    reading = gpus.of_plan(plan, session.run).within(_PATIENT)[1]
    computing = {str(gpu.index) for gpu in reading if isinstance(gpu.processes, tuple) and gpu.processes}
    had = {name for each in containers.listed(session.client, session.run) for name in given(each)}
    chosen, shared = choose(names, asked.devices, had | computing)
    if shared:
        session.say(f"not enough GPUs are free: {', '.join(shared)} {'is' if len(shared) == 1 else 'are'} shared")
    return Request(chosen, asked.capabilities, asked.source) if chosen else asked


def choose(names: tuple[str, ...], number: int, busy: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The devices, free ones first, and those of them that somebody has. () when there are not that many."""
    if number > len(names):
        return (), ()
    taken = set(busy)
    had = [name for name in names if ALL in taken or name in taken or name.partition(":")[0] in taken]
    order = [*(name for name in names if name not in had), *had]
    chosen = order[:number]
    return tuple(sorted(chosen, key=names.index)), tuple(name for name in chosen if name in had)


def given(container: Container) -> Iterator[str]:
    """The GPUs of a container: by its label, and by what its engine tells of its devices."""
    yield from filter(None, container.labels.get(labels.GPUS, "").split(","))
    for device in container.devices:
        found = _NODE.search(device)
        if found:
            yield found[1]
