"""What can be done to a container from the table: see its logs, or stop it. Decided here, done by its engine."""

import os
from collections.abc import Callable, Mapping
from typing import NamedTuple

from gpudock.engine import detect
from gpudock.errors import EngineError, GpudockError, RefusedError
from gpudock.monitor import clients
from gpudock.monitor.sample import Container, Sample
from gpudock.plan.quote import quote
from gpudock.proc import Command, Runner

STOPPING = 40.0  # seconds: an engine waits ten before it kills
_LINES = "200"


class Person(NamedTuple):
    """Who sits before the screen."""

    uid: int
    name: str


def person(environment: Mapping[str, str], uid: int, name_of: Callable[[int], str]) -> Person:
    """Whoever called sudo is meant, not root: root is nobody's name for a container."""
    caller = environment.get("SUDO_UID", "")
    mine = int(caller) if uid == 0 and caller.isdecimal() else uid
    return Person(mine, name_of(mine))


def chosen(sample: Sample, id_: str) -> Container:
    """The container, if an engine that can be asked has it. Raises RefusedError."""
    container = sample.container(id_)
    if container is None:
        raise RefusedError("This process is in no container.", mend="choose a line of a container")
    if not container.engine:
        raise RefusedError(f"No engine that can be asked here has the container {quote(container.label)}.")
    return container


def stoppable(container: Container, me: Person) -> None:
    """Only one's own. A label that says so is enough: who may write it may stop the container without gpudock too."""
    owner = container.owner
    if owner is not None and (owner.uid == me.uid if owner.uid is not None else owner.name == me.name):
        return
    whose = _whose(container)
    raise RefusedError(
        f"{quote(container.label)} belongs to {whose}: only one's own containers are stopped here.",
        mend=f"ask {whose}, or use {container.engine} itself" if owner else f"use {container.engine} itself",
    )


def logs(container: Container, me: Person) -> tuple[str, ...]:
    """The command that shows the end of the logs and follows them. Raises RefusedError and EngineError.

    A user's own engine runs what that user has set, and here on this terminal: it is only for that user.
    """
    user = _in_engine(container)[1]
    if user not in {0, me.uid}:
        raise RefusedError(
            f"{quote(container.label)} is in an engine of {_whose(container)}: only one's own is started here.",
            mend=f"ask {_whose(container)}",
        )
    return (*_words(container), "logs", "--follow", "--tail", _LINES, "--", _in_engine(container)[0])


def stop(container: Container, run: Runner) -> None:
    """Raises EngineError."""
    told = run(Command((*_words(container), "stop", "--", _in_engine(container)[0]), timeout=STOPPING))
    if not told.ok:
        why = (told.err.strip().splitlines() or [f"exit code {told.code}"])[-1]
        raise EngineError(f"{container.engine} did not stop {quote(container.label)}.", why=quote(why, 200))


def _in_engine(container: Container) -> tuple[str, int]:
    """What its engine calls it, and whose engine that is: 0 for the machine's."""
    identity, _, user = container.id.partition("@")
    return identity, int(user or 0)


def _whose(container: Container) -> str:
    return quote(container.owner.name) if container.owner else "somebody who is not known"


def _words(container: Container) -> tuple[str, ...]:
    user = _in_engine(container)[1]
    if user:  # root asks as that user
        for each in clients.clients(user, os.environ):
            if each.name == container.engine:
                return each.words
        raise EngineError(f"{container.engine} of uid {user} cannot be asked from here.")
    try:
        return detect.clients({"engine": container.engine}, detect.this_machine(os.environ))[0].words
    except GpudockError as error:
        raise EngineError(f"{container.engine} cannot be asked from here.", why=error.what) from error
