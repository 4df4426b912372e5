"""What services said. A running container is asked; a stopped one still has the files."""

import io
import tarfile

from gpudock.engine.containers import Container
from gpudock.env import running
from gpudock.env.services.place import LOGS
from gpudock.env.session import Session
from gpudock.errors import UsageError
from gpudock.plan.quote import quote
from gpudock.proc import Command

_LARGEST = 64 << 20


def command(session: Session, there: Container, name: str, *, tail: str, follow: bool) -> tuple[str, ...]:
    """The command that shows a service's log. Raises UsageError for a service that is none."""
    _known(there, name)
    flags = ("-n", tail, *(("-F",) if follow else ()))
    return (*session.client.words, "exec", there.id, "tail", *flags, f"{LOGS}/{name}.log")


def _known(there: Container, name: str) -> None:
    known = running.names(there)
    if name not in known:
        raise UsageError(f"There is no service {quote(name)} here.", why="there are: " + (", ".join(known) or "none"))


def last(session: Session, there: Container, name: str, *, tail: str) -> str:
    if not there.running:
        return of_stopped(session, there, name, tail=tail)
    return session.run(Command(command(session, there, name, tail=tail, follow=False))).out.rstrip()


def of_stopped(session: Session, there: Container, name: str, *, tail: str) -> str:
    """By the engine's copy of the whole log. Raises UsageError for a service that is none."""
    _known(there, name)
    with session.reading("cp", f"{there.id}:{LOGS}/{name}.log", "-") as read:
        data = b""
        while len(data) < _LARGEST and (more := read(1 << 20)):
            data += more
    with tarfile.open(fileobj=io.BytesIO(data)) as packed:
        member = packed.next()
        file = packed.extractfile(member) if member and member.isreg() else None
        lines = file.read().splitlines() if file else []
    return b"\n".join(lines[len(lines) - min(int(tail), len(lines)) :]).decode(errors="replace")
