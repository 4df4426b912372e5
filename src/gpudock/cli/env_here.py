"""What the verbs of environments begin with: the engine, the person, the folder, and which environment is meant."""

import os
from typing import TYPE_CHECKING

from gpudock.cli.run import WHICH_ENGINE
from gpudock.cli.terminal import say
from gpudock.cli.verb import Option

if TYPE_CHECKING:
    from gpudock.engine.base import Client
    from gpudock.engine.containers import Container
    from gpudock.env.session import Session

PROJECT = Option(("--folder", "-C"), "project", "The project's folder. [default: this one]", metavar="FOLDER")
COMMON = (PROJECT, *WHICH_ENGINE)


def session(own: "dict[str, str | None]") -> "Session":
    """`own`: engine, context, host as they were given. Raises EngineError."""
    from gpudock import proc
    from gpudock.env import owner
    from gpudock.env import session as sessions

    return sessions.begin(_clients(own), owner.here(os.environ), os.environ, proc.run, say)


def _clients(own: "dict[str, str | None]") -> "tuple[Client, ...]":
    from gpudock.engine import detect

    given = {name: value for name, value in own.items() if value is not None}
    return detect.clients(given, detect.this_machine(os.environ))


def elsewhere(own: "dict[str, str | None]") -> "Session | None":
    """The engine when it is another machine's. None: it is this machine's, or there is none."""
    from gpudock.errors import EngineError

    try:
        clients = _clients(own)
    except EngineError:
        return None
    return session(own) if clients[0].endpoint.socket is None else None


def engine_of(engine: str | None, context: str | None, host: str | None) -> "Session":
    return session({"engine": engine, "context": context, "host": host})


def folder(project: str | None) -> str:
    """The project's folder: the one named, else the nearest with a gpudock.yaml from here upwards, else this one."""
    from gpudock.env.naming import RECIPE_FILE

    if project is not None:
        return os.path.realpath(project)
    here = os.path.realpath(os.getcwd())
    at = here
    while at != "/":
        if os.path.exists(f"{at}/{RECIPE_FILE}"):
            return at
        at = os.path.dirname(at)
    return here


def meant(session: "Session", project: str | None, name: str = "") -> "Container":
    """The environment with that name, else that of the folder. Raises UsageError and RefusedError."""
    from gpudock.env import mine
    from gpudock.errors import RefusedError
    from gpudock.plan.quote import quote

    if name:
        return mine.named(session, name)
    where = folder(project)
    found = [each for each in mine.every(session) if mine.project(each) == where]
    if not found:
        raise RefusedError(
            f"No environment of {quote(where)} is there.", mend="gpudock up makes it; gpudock env ls shows yours"
        )
    return mine.one(found[0].name, found) if len(found) == 1 else _one_of(found)


def _one_of(found: "list[Container]") -> "Container":
    from gpudock.errors import UsageError

    running = [each for each in found if each.running]
    if len(running) == 1:
        return running[0]
    names = ", ".join(each.name for each in found)
    raise UsageError("This folder has several environments.", why=names, mend="name one of them")


def running(session: "Session", project: str | None, name: str = "") -> "Container":
    from gpudock.errors import RefusedError

    found = meant(session, project, name)
    if not found.running:
        raise RefusedError(f"{found.name} does not run.", why=f"it is {found.state}", mend="gpudock env start")
    return found
