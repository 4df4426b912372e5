"""NV_HOST and DOCKER_HOST as nvidia-docker 1 read them: `[http://|ssh://][user@][host][:sshport]:[httpport]`."""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from gpudock.compat.v1_error import V1Error
from gpudock.plan.quote import quote

PORT = 3476  # of the plugin
SSH_PORT = 22
_URI = re.compile(r"(?:(?P<scheme>[a-z][a-z0-9+.-]*)://)?(?:(?P<user>[^@/]*)@)?(?P<place>[^/]*)(?:/.*)?", re.DOTALL)
_NAME = r"(?P<name>\[[0-9a-f.:]+\]|[0-9A-Za-z.\-_]+)"
_PLACE = re.compile(_NAME + "?(?::(?P<ssh>[0-9]+))?:(?P<port>[0-9]+)?")
_PLACE_OF_DOCKER = re.compile(_NAME + "(?::(?P<ssh>[0-9]+))?")
_USER = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.+\\-]*")  # ssh's own words begin with "-"
_LAST_PORT = 65535


class Host(NamedTuple):
    """Where a plugin is asked. `ssh`: through a tunnel, to `port` of the machine's own localhost."""

    name: str
    port: int
    ssh: bool = False
    user: str = ""  # of ssh; "" is ssh's own choice
    ssh_port: int = SSH_PORT


def load(environment: Mapping[str, str], warn: Callable[[str], None]) -> Host | None:
    """The machine whose plugin is meant; None for this one. Raises V1Error."""
    own, dockers = environment.get("NV_HOST", ""), environment.get("DOCKER_HOST", "")
    if own and not dockers:
        warn("Warning: NV_HOST is set but DOCKER_HOST is not")
    user = environment.get("USER", "")
    if own:
        return parse(own, user, "NV_HOST")
    return parse(dockers, user, "DOCKER_HOST") if dockers else None


def parse(text: str, user: str, variable: str) -> Host | None:
    """`user`: who logs in by ssh when the text names nobody. DOCKER_HOST's port is docker's, not the plugin's."""
    uri = _URI.fullmatch(text)
    scheme = (uri["scheme"] if uri else None) or "tcp"
    if scheme == "unix":
        return None
    is_docker = variable == "DOCKER_HOST"
    form = _PLACE
    if is_docker and scheme == "ssh" and uri and not uri["place"].endswith(":"):
        form = _PLACE_OF_DOCKER  # docker itself has ssh since 18.09, and a port there is ssh's
    place = form.fullmatch(uri["place"]) if uri else None
    if uri is None or scheme not in {"tcp", "http", "ssh"} or (place is None and uri["place"]):
        raise _invalid(text, variable)
    parts = place.groupdict() if place else {}
    ssh_port = int(parts.get("ssh") or SSH_PORT)
    port = PORT if is_docker else int(parts.get("port") or PORT)
    who = (uri["user"] or user) if scheme == "ssh" else ""
    if max(port, ssh_port) > _LAST_PORT or (who and not _USER.fullmatch(who)):
        raise _invalid(text, variable)
    return Host((parts.get("name") or "localhost").strip("[]"), port, scheme == "ssh", who, ssh_port)


def _invalid(text: str, variable: str) -> V1Error:
    return V1Error(
        "invalid remote host URI",
        why=f"{variable} is {quote(text)}",
        mend="write [http://|ssh://][user@]host[:sshport]:[httpport]; the last colon must be there",
    )
