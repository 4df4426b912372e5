"""Ports of this machine: the one that was wished for, or the next that is free."""

import socket
from collections.abc import Callable, Collection
from typing import NamedTuple

from gpudock.errors import HostError

_TRIES = 200
ANY = ("", "0.0.0.0", "::")  # noqa: S104  how people write "every address"


class Choice(NamedTuple):
    port: int
    taken: bool  # the wished one was


def choose(wished: int, taken: Callable[[int], bool]) -> Choice:
    """Raises HostError when nothing is free for a long way."""
    for port in range(wished, min(wished + _TRIES, 65536)):
        if not taken(port):
            return Choice(port, port != wished)
    raise HostError(
        f"No port from {wished} on is free.", mend="name another one: -p PORT:PORT, or host_port in gpudock.yaml"
    )


def taken_here(address: str, others: Collection[int]) -> Callable[[int], bool]:
    """Whether somebody of this machine listens on a port, or it is among `others`, which are promised already."""

    def taken(port: int) -> bool:
        return port in others or not _can_listen(address, port)

    return taken


def _can_listen(address: str, port: int) -> bool:
    """An engine will listen on every address of the machine where ours is free only on some: then it is taken."""
    for each in {address or "0.0.0.0", "127.0.0.1"}:  # noqa: S104  only tried, nobody can connect
        try:
            with socket.socket(socket.AF_INET6 if ":" in each else socket.AF_INET) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((each, port))
        except OSError:
            return False
    return True
