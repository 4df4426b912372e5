"""The project's folder on an engine of another machine: a volume there, filled once."""

from gpudock.engine import labels
from gpudock.env.create import Start
from gpudock.env.naming import WORKSPACE
from gpudock.env.session import Session
from gpudock.errors import EngineError
from gpudock.plan.quote import quote

_SECONDS = 3600.0


def made(session: Session, start: Start) -> bool:
    """Make the volume where it is missing, before the container is; whether it has to be filled."""
    if start.source == start.folder or session.ask("volume", "inspect", start.source).ok:
        return False
    owned = ("--label", f"{labels.OWNER_UID}={start.owner.uid}", "--label", f"{labels.PROJECT}={start.folder}")
    done = session.ask("volume", "create", *owned, start.source)
    if not done.ok:
        raise EngineError("The volume for the project cannot be made.", why=quote(done.err.strip(), 300))
    return True


def fill(session: Session, start: Start) -> None:
    """Copy the folder into the container that was just made. What goes wrong leaves no half volume behind."""
    session.say(f"the project is copied to the engine's machine, into the volume {start.source}, which stays there")
    words = ("cp", "--archive", f"{start.folder}/.", f"{start.names.container}:{WORKSPACE}")
    done = session.ask(*words, timeout=_SECONDS)
    if not done.ok:
        session.ask("rm", "--force", start.names.container)
        session.ask("volume", "rm", start.source)
        raise EngineError("The project cannot be copied to the engine's machine.", why=quote(done.err.strip(), 300))


def give(session: Session, start: Start) -> None:
    """The copy to its user, now that the container runs and can do it."""
    owner = f"{start.who.uid}:{start.who.gid}"
    session.ask("exec", "--user", "0", start.names.container, "chown", "-hR", owner, WORKSPACE, timeout=_SECONDS)
