"""Where the docker that a command will reach is: its context and address, by the precedence of docker's own client."""

import json
from collections.abc import Callable, Mapping
from typing import NamedTuple

from gpudock.errors import InputError, UsageError
from gpudock.plan.quote import quote

SOCKET = "/var/run/docker.sock"
LOCAL = "unix://" + SOCKET
DEFAULT = "default"


class Endpoint(NamedTuple):
    """`flags` make the engine's client use this endpoint even when its configuration changes in between."""

    address: str
    flags: tuple[str, ...] = ()
    context: str = ""  # when a named one is used

    @property
    def socket(self) -> str | None:
        """Path of the local socket; None when the engine is on another machine."""
        scheme, _, path = self.address.partition("://")
        return path if scheme == "unix" else None


class Files(NamedTuple):
    """How docker's own configuration is read: contents, None when it is not there; names in a folder."""

    text: Callable[[str], str | None]
    names: Callable[[str], list[str]]


def docker(own: Mapping[str, str], environment: Mapping[str, str], files: Files) -> Endpoint:
    """The endpoint for gpudock's flags --context and --host, DOCKER_HOST, DOCKER_CONTEXT and docker's configuration."""
    if "context" in own and "host" in own:
        raise UsageError("--context and --host name two engines.", mend="leave one of them out")
    if "host" in own:
        return Endpoint(_address(own["host"]), ("--host", own["host"]))
    folder = environment.get("DOCKER_CONFIG") or environment.get("HOME", "") + "/.docker"
    name = own.get("context", "")
    if not name and not environment.get("DOCKER_HOST"):
        name = environment.get("DOCKER_CONTEXT") or _current(folder, files)
    flags = ("--context", own["context"]) if "context" in own else ()
    if name in {"", DEFAULT}:
        return Endpoint(_address(environment.get("DOCKER_HOST") or LOCAL), flags)
    return Endpoint(_of_context(name, folder, files), flags, name)


def podman(environment: Mapping[str, str]) -> Endpoint:
    """Podman works without a server, unless it is told of one."""
    return Endpoint(environment.get("CONTAINER_HOST") or "unix://", (), environment.get("CONTAINER_CONNECTION", ""))


def _address(text: str) -> str:
    """As docker completes it: without a scheme it is TCP, without a path it is the usual socket."""
    if text == "unix://":
        return LOCAL
    return text if "://" in text else "tcp://" + text


def _current(folder: str, files: Files) -> str:
    text = files.text(f"{folder}/config.json")
    if text is None:
        return ""
    found = _decoded(text, f"{folder}/config.json").get("currentContext", "")
    return found if isinstance(found, str) else ""


def _of_context(name: str, folder: str, files: Files) -> str:
    metas = f"{folder}/contexts/meta"
    for entry in files.names(metas):
        path = f"{metas}/{entry}/meta.json"
        text = files.text(path)
        meta = _decoded(text, path) if text is not None else {}
        if meta.get("Name") == name:
            endpoints = meta.get("Endpoints")
            found = endpoints.get("docker") if isinstance(endpoints, dict) else None
            address = found.get("Host") if isinstance(found, dict) else None
            return address if isinstance(address, str) and address else LOCAL
    raise UsageError(
        f"docker has no context {quote(name)}.", why=f"none of that name in {metas}", mend="docker context ls"
    )


def _decoded(text: str, path: str) -> dict[str, object]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON.", why=str(error)[:200], mend="mend or remove the file") from error
    return value if isinstance(value, dict) else {}


def ssh(address: str) -> tuple[str, ...] | None:
    """The words that reach the host of an ssh:// address by the system's OpenSSH; None for other addresses."""
    scheme, _, rest = address.partition("://")
    if scheme != "ssh":
        return None
    host, _, _ = rest.partition("/")
    user, at, machine = host.rpartition("@")
    machine, colon, port = machine.partition(":")
    return ("ssh", "-o", "BatchMode=yes", *(("-p", port) if colon else ()), "--", user + at + machine)
