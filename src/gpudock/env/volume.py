"""The project's folder on an engine of another machine: a volume there, filled once."""

import contextlib
from collections.abc import Iterator

from gpudock.engine import labels
from gpudock.env.create import Start
from gpudock.env.naming import WORKSPACE
from gpudock.env.session import Session
from gpudock.errors import EngineError
from gpudock.plan.quote import quote
from gpudock.proc import Result

_SECONDS = 3600.0


def is_missing(session: Session, start: Start) -> bool:
    return start.source != start.folder and not session.ask("volume", "inspect", start.source).ok


def creation(start: Start) -> tuple[str, ...]:
    owned = ("--label", f"{labels.OWNER_UID}={start.owner.uid}", "--label", f"{labels.PROJECT}={start.folder}")
    return ("volume", "create", *owned, start.source)


def copying(start: Start) -> tuple[str, ...]:
    return ("cp", "--archive", f"{start.folder}/.", f"{start.names.container}:{WORKSPACE}")


@contextlib.contextmanager
def filled(session: Session, start: Start) -> Iterator[bool]:
    """Around the making of the container: the volume is there for it, and, where it is new, gets the project's files
    then. Gives whether it is new. What goes wrong leaves no empty or half volume, which would be taken for the project.
    """
    new = is_missing(session, start)
    if not new:
        yield False
        return
    _checked(session.ask(*creation(start)), "The volume for the project cannot be made.")
    try:
        yield True
        session.say(f"the project is copied to the engine's machine, into the volume {start.source}, which stays there")
        _checked(
            session.ask(*copying(start), timeout=_SECONDS), "The project cannot be copied to the engine's machine."
        )
    except BaseException:
        session.ask("rm", start.names.container)  # it was not started yet
        session.ask("volume", "rm", start.source)
        raise


def _checked(done: Result, what: str) -> None:
    if not done.ok:
        raise EngineError(what, why=quote(done.err.strip(), 300))


def give(session: Session, start: Start) -> None:
    """The copy to its user, now that the container runs and can do it."""
    owner = f"{start.who.uid}:{start.who.gid}"
    session.ask("exec", "--user", "0", start.names.container, "chown", "-hR", owner, WORKSPACE, timeout=_SECONDS)
