"""From the user's wish to the engine's command line: asks everybody at once, then decides."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from gpudock import proc
from gpudock.engine import advice, decide, image, local
from gpudock.engine.asked import Asked
from gpudock.engine.base import Answer, Client, Decision, Wish
from gpudock.engine.offer import MissingVariantError, NamesOffer, Offer, PlanOffer
from gpudock.errors import EngineError, GpudockError
from gpudock.plan import requirement
from gpudock.refresh.current import StaleError
from gpudock.refresh.paths import Paths

if TYPE_CHECKING:
    from gpudock.engine.gpus import Reading
    from gpudock.plan.document import Plan

CHEAP = 0.1  # seconds that a warning about busy GPUs may cost; a driver without persistence mode takes many times that
PATIENT = 5.0  # seconds for the driver, when an image's requirements hang on its answer


class Tools(NamedTuple):
    """How things are done, and where."""

    run: proc.Runner
    pull: Callable[[tuple[str, ...]], int]  # shows what it does, returns the exit code
    here: local.Here
    refresh: local.Refresh | None  # None: not allowed, or not wanted now
    dry_run: bool
    uid: int


class _Source(NamedTuple):
    """Where the devices come from, and what NVML says meanwhile."""

    offer: Offer
    reading: "Reading | None" = None
    place: Paths | None = None  # of our own specification
    folder: str = ""  # of the specification on this machine


def prepare(wish: Wish, clients: tuple[Client, ...], first: Asked, tools: Tools) -> Decision:
    """The command to become, and what to say before. `first`: the questions to the first client, running.

    Raises GpudockError, and PullFailed with the engine's exit code. Nothing is changed but what the user's command
    needs: a missing image is pulled, and a stale plan is made anew where `tools.refresh` allows it.
    """
    early = _early(clients[0], tools)
    asked, answer, notes = _answering(first, clients, wish, tools)
    client = asked.client
    way = decide.mechanism(client, answer, wish)
    if answer.remote:
        from gpudock.engine import remote  # noqa: PLC0415  start-up time: few engines are elsewhere

        offer, more = remote.offer(answer, client.endpoint.address, tools.run)
        source, notes = _Source(offer), (*notes, *more)
    else:
        source = early or _local(tools, tools.refresh)
    if way.runtime is None and source.folder:
        client = _looking_in(client, answer, source.folder)
    found = _image(asked, wish, tools)
    source = _completed(source, wish, found)
    decision = _decided(lambda offer: decide.decide(client, answer, wish, found, offer), source, tools)
    return decision._replace(notes=(*notes, *decision.notes, *_busy(source, decision, tools)))


def _early(client: Client, tools: Tools) -> _Source | None:
    """This machine's devices, read while its engine answers. What is wrong with them is found again and said later."""
    if client.endpoint.socket is None:
        return None
    try:
        return _local(tools, None)
    except GpudockError:
        return None


def _local(tools: Tools, refresh: local.Refresh | None) -> _Source:
    own = local.own_plan(tools.here, refresh)
    if own is not None:
        plan, place = own
        return _Source(PlanOffer(plan), _reading(tools, plan), place, place.cdi)
    theirs = local.foreign(tools.here)
    if theirs is None:
        raise StaleError("The CDI specification of this machine has just been removed.")
    from gpudock.engine import gpus  # noqa: PLC0415  start-up time

    driver = local.loaded_driver(tools.here)
    local.check(theirs, driver)
    offer = NamesOffer(theirs.names, theirs.path, driver)
    return _Source(offer, gpus.of_machine(driver, tools.run), None, os.path.dirname(theirs.path))


def _reading(tools: Tools, plan: "Plan") -> "Reading | None":
    """Only somebody who starts a container wants to hear how busy its GPUs are at this moment."""
    if tools.dry_run:
        return None
    from gpudock.engine import gpus  # noqa: PLC0415  start-up time

    return gpus.of_plan(plan, tools.run)


def _busy(source: _Source, decision: Decision, tools: Tools) -> tuple[str, ...]:
    if source.reading is None:
        return ()
    from gpudock.engine import gpus  # noqa: PLC0415  imported already

    found = source.reading.within(CHEAP)[1]
    return tuple(advice.busy(found, decision.chosen, gpus.owner, uid=tools.uid))


def _answering(
    asked: Asked, clients: tuple[Client, ...], wish: Wish, tools: Tools
) -> tuple[Asked, Answer, tuple[str, ...]]:
    """The first engine that answers. When none does, the error is that of the first."""
    failures: list[EngineError] = []
    for client in clients:
        if client is not asked.client:
            asked = Asked(client, wish.arguments.image, tools.run)
        try:
            answer = client.understand(asked.engine.result())
            if answer.problem is not None:
                raise client.unusable(answer.problem)
        except EngineError as error:
            failures.append(error)
        else:
            return asked, answer, tuple(f"{failure.what} {client.name} is used instead." for failure in failures)
    raise failures[0]


def _looking_in(client: Client, answer: Answer, folder: str) -> Client:
    if local.seen_by(answer, folder):
        return client
    told = client.looking_in(folder, answer)
    if told is None:
        raise local.unseen(client.name, answer, folder)
    return told


def _image(asked: Asked, wish: Wish, tools: Tools) -> image.Image | None:
    if wish.arguments.last("rootfs") is not None:
        return image.Image({}, {})
    first = asked.image.result()
    if tools.dry_run:
        return image.understand(asked.client, wish.arguments.image, first)
    return image.ready(
        asked.client,
        wish.arguments,
        first,
        ask=lambda question: tools.run(proc.Command(question)),
        pull=tools.pull,
    )


def _completed(source: _Source, wish: Wish, found: image.Image | None) -> _Source:
    """With what NVML knows of the GPUs, where only their names are known: it is waited for when it matters."""
    if not isinstance(source.offer, NamesOffer) or source.reading is None:
        return source
    required = requirement.from_environment(decide.in_container(wish, found))[0]
    patience = PATIENT if required or isinstance(wish.request.devices, tuple) else CHEAP
    cuda, known = source.reading.within(patience)
    return source._replace(offer=source.offer._replace(cuda=cuda, gpus=known))


def _decided(attempt: Callable[[Offer], Decision], source: _Source, tools: Tools) -> Decision:
    """The decision; capabilities that the driver was not prepared for are added first where that is allowed."""
    try:
        return attempt(source.offer)
    except MissingVariantError as error:
        if tools.refresh is None or source.place is None:
            raise
        return attempt(local.renewed(source.place, tools.refresh, error.wanted))
