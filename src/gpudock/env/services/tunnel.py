"""The command that brings a service's address to the machine at which the person sits. Pure."""

import ipaddress
from collections.abc import Mapping, Sequence

from gpudock.plan.quote import quote


def command(ports: Sequence[int], environment: Mapping[str, str], user: str, address: str = "") -> str:
    """The line to type there; "" when the browser is on this machine.

    `address`: the engine's, when it is reached by ssh://: the tunnel then begins on this machine.
    """
    target = _of_engine(address) or _of_session(environment, user)
    if not target or not ports:
        return ""
    forwards = " ".join(f"-L {port}:127.0.0.1:{port}" for port in ports)
    return f"ssh -N {forwards} {target}"


def _of_engine(address: str) -> str:
    if not address.startswith("ssh://"):
        return ""
    place = address.removeprefix("ssh://").partition("/")[0]
    host, colon, port = place.rpartition(":")
    return f"-p {port} {quote(host)}" if colon and port.isdecimal() else quote(place)


def _of_session(environment: Mapping[str, str], user: str) -> str:
    """SSH_CONNECTION: the client's address and port, the server's address and port."""
    words = environment.get("SSH_CONNECTION", "").split()
    if len(words) != 4 or not words[3].isdecimal():
        return ""
    try:
        server = ipaddress.ip_address(words[2].partition("%")[0])
    except ValueError:
        return ""
    port = "" if words[3] == "22" else f"-p {words[3]} "
    return f"{port}{user}@{server}"
