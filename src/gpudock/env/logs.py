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
    """The command that shows a service's log."""
    known = running.names(there)
    if name not in known:
        raise UsageError(f"There is no service {quote(name)} here.", why="there are: " + (", ".join(known) or "none"))
    flags = ("-n", tail, *(("-F",) if follow else ()))
    return (*session.client.words, "exec", there.id, "tail", *flags, f"{LOGS}/{name}.log")


def last(session: Session, there: Container, *, tail: str) -> list[tuple[str, str]]:
    found = []
    for name in running.names(there):
        if there.running:
            text = session.run(Command(command(session, there, name, tail=tail, follow=False))).out
        else:
            text = b"\n".join(of_stopped(session, there, name).splitlines()[-int(tail) :]).decode(errors="replace")
        found.append((name, text.rstrip()))
    return found


def of_stopped(session: Session, there: Container, name: str) -> bytes:
    """The whole log, by the engine's copy of it."""
    with session.reading("cp", f"{there.id}:{LOGS}/{name}.log", "-") as read:
        data = b""
        while len(data) < _LARGEST and (more := read(1 << 20)):
            data += more
    with tarfile.open(fileobj=io.BytesIO(data)) as packed:
        member = packed.next()
        file = packed.extractfile(member) if member and member.isreg() else None
        return file.read() if file else b""
