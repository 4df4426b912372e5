"""Asks the plugin of another machine, by plain HTTP or through a tunnel of the system's own OpenSSH."""

import contextlib
import http.client
import os
import socket
import tempfile
from collections.abc import Callable, Iterator

from gpudock import proc
from gpudock.compat.nv_host import Host
from gpudock.compat.v1_error import V1Error
from gpudock.compat.v1_remote import Fetch, Reply
from gpudock.plan.quote import quote

SECONDS = 10.0
_LIMIT = 1 << 20  # bytes of a reply
_PLUGIN = "plugin"  # as nvidia-docker 1 called the machine in its requests


class _Local(http.client.HTTPConnection):
    """HTTP over a socket in the file system."""

    def __init__(self, path: str) -> None:
        super().__init__(_PLUGIN, timeout=SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(SECONDS)
        self.sock.connect(self._path)


@contextlib.contextmanager
def plugin(host: Host, run: proc.Runner, show: Callable[[tuple[str, ...]], int]) -> Iterator[Fetch]:
    """Asks the plugin while the context lasts. `show` runs ssh, which may ask for a password. Raises V1Error."""
    where = f"the plugin of {quote(host.name)}"
    if not host.ssh:
        yield lambda path: _get(http.client.HTTPConnection(host.name, host.port, timeout=SECONDS), path, where)
        return
    with _tunnel(host, run, show) as end:
        yield lambda path: _get(_Local(end), path, where)


def _get(connection: http.client.HTTPConnection, path: str, where: str) -> Reply:
    with contextlib.closing(connection):
        try:
            connection.request("GET", path, headers={"Host": _PLUGIN})
            response = connection.getresponse()
            body = response.read(_LIMIT + 1)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise V1Error(
                f"{where} does not answer",
                why=f"{type(error).__name__}: {error}",
                mend="see that nvidia-docker-plugin runs there, and that NV_HOST names its port",
            ) from error
    if len(body) > _LIMIT:
        raise V1Error(f"{where} answers with more than {_LIMIT} bytes")
    return Reply(response.status, body.decode(errors="replace"))


def tunnel_words(host: Host, folder: str) -> tuple[str, ...]:
    """Leads the socket `folder`/plugin to the plugin's port, in the background once ssh has logged in.

    Host keys are checked as the user's ssh has it.
    """
    return (
        *("ssh", "-f", "-N", "-M", "-S", f"{folder}/control"),
        *("-o", "ExitOnForwardFailure=yes", "-o", "ControlPersist=no", "-o", f"ConnectTimeout={SECONDS:g}"),
        *("-L", f"{folder}/plugin:localhost:{host.port}", "-p", str(host.ssh_port)),
        *(("-l", host.user) if host.user else ()),
        *("--", host.name),
    )


@contextlib.contextmanager
def _tunnel(host: Host, run: proc.Runner, show: Callable[[tuple[str, ...]], int]) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="gpudock-ssh-") as folder:  # 0700
        if show(tunnel_words(host, folder)):
            raise V1Error(f"ssh to {quote(host.name)} fails", why="see above", mend="try ssh to that machine by hand")
        try:
            yield os.path.join(folder, "plugin")
        finally:
            run(proc.Command(("ssh", "-S", f"{folder}/control", "-O", "exit", "--", host.name), timeout=SECONDS))
