"""Waits until services answer, and looks whether they answer to anybody who asks."""

import http.client
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from gpudock.engine.containers import Container
from gpudock.env.services.table import Served, takes_token
from gpudock.env.session import Session

_EACH = 5.0  # seconds for one answer
_PAUSE = 0.4
_LISTENING = "0A"


class Outcome(NamedTuple):
    served: Served
    ready: bool
    open_to_all: bool = False  # a service with a token that lets people in without it


def until_ready(
    session: Session,
    container: Container,
    services: Sequence[tuple[Served, int]],
    *,
    patience: float,
    alive: Callable[[], bool],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[Outcome, ...]:
    """What became of each within `patience` seconds. `alive`: whether the container still runs."""
    waiting = dict(services)
    ready: list[Outcome] = []
    end = clock() + patience
    while waiting:
        for served, port in list(waiting.items()):
            outcome = _look(session, container, served, port)
            if outcome is not None:
                ready.append(outcome)
                del waiting[served]
        if not waiting or clock() > end or not alive():
            break
        sleep(_PAUSE)
    return (*ready, *(Outcome(served, ready=False) for served in waiting))


def _look(session: Session, container: Container, served: Served, port: int) -> Outcome | None:
    if session.remote or not served.health:
        return Outcome(served, ready=True) if _listens(session, container, served.port) else None
    status = _status(served, port, served.health)
    if status is None or status >= 500:
        return None
    if takes_token(served.name):
        guarded = _status(served, port, "/api/contents" if served.name == "jupyter" else "/")
        return Outcome(served, ready=True, open_to_all=guarded is not None and guarded < 300)
    return Outcome(served, ready=True)


def _status(served: Served, port: int, path: str) -> int | None:
    """Of an answer without any token; None when nobody answers."""
    host = served.address if served.address not in {"", "0.0.0.0", "::"} else "127.0.0.1"  # noqa: S104
    connection = http.client.HTTPConnection(host, port, timeout=_EACH)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _listens(session: Session, container: Container, port: int) -> bool:
    """By the container's own tables, which every image can show."""
    told = session.ask("exec", container.id, "cat", "/proc/net/tcp", "/proc/net/tcp6")
    return listening(told.out, port)


def listening(tables: str, port: int) -> bool:
    """Whether /proc/net/tcp or tcp6 has a socket that listens on a port."""
    wanted = f":{port:04X}"
    for line in tables.splitlines():
        words = line.split()
        if len(words) > 3 and words[1].endswith(wanted) and words[3] == _LISTENING:
            return True
    return False
