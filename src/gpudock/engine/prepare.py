"""From the user's wish to the engine's command line: asks everybody at once, then decides."""

import os
from collections.abc import Callable
from typing import NamedTuple

from gpudock import proc
from gpudock.engine import advice, decide, gpus, image, local, remote
from gpudock.engine.base import Answer, Client, Decision, Wish
from gpudock.engine.docker import Docker
from gpudock.engine.offer import MissingVariantError, NamesOffer, Offer, PlanOffer
from gpudock.errors import GpudockError
from gpudock.facts.engine import Engine
from gpudock.host.later import Later
from gpudock.plan import requirement
from gpudock.refresh.paths import Paths

QUICK = 15.0  # seconds for the engine to say what it is; an image may take longer to be looked at
PATIENT = 5.0  # seconds for the driver, when an image's requirements hang on its answer


class Tools(NamedTuple):
    """How things are done. `places`: where our specification may lie, best first."""

    run: proc.Runner
    pull: Callable[[tuple[str, ...]], int]  # shows what it does, returns the exit code
    places: tuple[Paths, ...]
    refresh: local.Refresh | None  # None: not allowed, or not wanted now
    dry_run: bool
    uid: int


class _Asked:
    """The two questions to an engine, running."""

    def __init__(self, client: Client, wish: Wish, run: proc.Runner) -> None:
        self.client = client
        question = image.question(client, wish.arguments.image)
        self.engine = Later(lambda: run(proc.Command(client.question, timeout=QUICK)))
        self.image = Later(lambda: run(proc.Command(question)))


class _Source(NamedTuple):
    """Where the devices come from, and what NVML says meanwhile."""

    offer: Offer
    reading: gpus.Reading | None
    place: Paths | None = None  # of our own specification
    folder: str = ""  # of the specification on this machine


def prepare(wish: Wish, clients: tuple[Client, ...], tools: Tools) -> Decision:
    """The command to become, and what to say before. Raises GpudockError, and PullFailed with the engine's exit code.

    Nothing is changed but what the user's command needs: a missing image is pulled, and a stale plan is made anew
    where `tools.refresh` allows it.
    """
    asked = _Asked(clients[0], wish, tools.run)
    early = _early(clients[0], tools)
    client, answer, asked, notes = _answering(asked, clients, wish, tools)
    way = decide.mechanism(client, answer.facts, wish)
    if answer.facts.remote:
        offer, more = remote.offer(answer, _address(client), tools.run)
        source, notes = _Source(offer, None), (*notes, *more)
    else:
        source = early or _local(tools)
    if way.runtime is None and source.folder and not local.seen_by(answer.facts, source.folder):
        client = client.looking_in(source.folder, answer.facts) or _raise(local.unseen(answer.facts, source.folder))
    found = _image(client, wish, asked, tools)
    source = _completed(source, wish, found)
    decision, source = _decided(client, answer.facts, wish, found, source, tools)
    chosen = decide.choose(client, answer.facts, wish, found, source.offer)[0]
    warnings = ()
    if source.reading is not None:
        warnings = tuple(advice.busy(source.reading.within(gpus.CHEAP)[1], chosen, gpus.owner, uid=tools.uid))
    return decision._replace(notes=(*notes, *decision.notes, *warnings))
