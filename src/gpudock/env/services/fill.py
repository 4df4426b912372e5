"""Puts secrets into a running container: into its memory, by standard input, so that they are in no image, no command
line and no variable.
"""

import base64
import shlex
from collections.abc import Mapping

from gpudock.engine.containers import Container
from gpudock.env.services.place import READY
from gpudock.env.services.supervisor import SCRIPT
from gpudock.env.session import Session
from gpudock.errors import EngineError
from gpudock.plan.quote import quote


def fill(session: Session, container: Container, files: Mapping[str, bytes], uid: int, gid: int) -> None:
    """Write these files, each for this user alone, and then what starts the services. Raises EngineError."""
    everything = {**files, READY: SCRIPT.encode()}
    script = "".join((_START, *(_written(path, data, uid, gid) for path, data in everything.items())))
    done = session.ask("exec", "-i", "--user", "0", container.id, "/bin/sh", "-s", stdin=script.encode())
    if not done.ok:
        said = session.ask("logs", "--tail", "3", container.id)  # an entry that gives up says why, and ends
        last = " ".join(f"{said.out} {said.err}".split()) if said.ok else ""
        raise EngineError(
            "The secrets of the services could not be put into the container.",
            why=quote(" ".join(done.err.split()) or f"exit code {done.code}", 300),
            mend=f"the container said last: {quote(last, 300)}" if last else "gpudock env up --force-recreate",
        )


_START = "set -e\numask 077\n"


def _written(path: str, data: bytes, uid: int, gid: int) -> str:
    """In lines of base64: no byte of it can end the text too early."""
    text = base64.encodebytes(data).decode()
    folder, name = path.rsplit("/", 1)
    place, temporary = shlex.quote(folder), shlex.quote(f"{folder}/.{name}")
    return (
        f"[ -d {place} ] || {{ mkdir -p {place}; chmod 755 {place}; }}\n"
        f"base64 -d >{temporary} <<'END'\n{text}END\n"
        f"chown {uid}:{gid} {temporary}\n"
        f"mv -f {temporary} {shlex.quote(path)}\n"
    )
