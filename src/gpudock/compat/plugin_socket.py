"""The sockets that the daemon listens on, and the one place in the file system that makes it the only one."""

import contextlib
import errno
import fcntl
import os
import socket
import stat
from collections.abc import Iterator

from gpudock import publish
from gpudock.compat.plugin_http import BACKLOG
from gpudock.errors import HostError, RefusedError, UsageError

SOCKET = "nvidia-docker.sock"


@contextlib.contextmanager
def alone(folder: str) -> Iterator[None]:
    """Hold the folder of the socket: a second daemon there is refused. Locked is the folder itself: nothing is left."""
    publish.make_folder(folder, 0o700)
    danger = publish.insecure(folder)
    if danger:
        raise RefusedError(f"The socket must not be in {folder}.", why=danger, mend="name a folder of root's with -s")
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            mend = "stop it first: sudo systemctl stop nvidia-docker"
            raise RefusedError(f"Another nvidia-docker-plugin serves {folder}/{SOCKET}.", mend=mend) from None
        yield
    finally:
        os.close(fd)


@contextlib.contextmanager
def unix(folder: str) -> Iterator[socket.socket]:
    """Listens at FOLDER/nvidia-docker.sock, for root alone. A stale socket is replaced in one step."""
    path = f"{folder}/{SOCKET}"
    if os.path.lexists(path) and not stat.S_ISSOCK(os.lstat(path).st_mode):
        raise RefusedError(f"{path} is there and no socket.", mend="move it away")
    temporary = f"{folder}/.{os.urandom(4).hex()}.tmp"
    _sweep(folder)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        try:
            listening.bind(temporary)
            os.chmod(temporary, 0o600)
            listening.listen(BACKLOG)
            inode = os.lstat(temporary).st_ino
            os.rename(temporary, path)
        except OSError as error:
            raise HostError(f"Cannot listen on {path}.", why=error.strerror or str(error)) from error
        yield listening
        _unlink_own(path, inode)
    finally:
        listening.close()


def _sweep(folder: str) -> None:
    """Sockets that a daemon left that was killed before it renamed them. The folder is ours."""
    for name in os.listdir(folder):
        path = f"{folder}/{name}"
        if name.startswith(".") and name.endswith(".tmp") and stat.S_ISSOCK(os.lstat(path).st_mode):
            os.unlink(path)


def _unlink_own(path: str, inode: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        if os.lstat(path).st_ino == inode:
            os.unlink(path)


def tcp(address: str) -> socket.socket:
    """Listens at HOST:PORT as Go does: IPv4 where the host has it, all addresses for an empty host."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise UsageError(f"{address!r} is no address to listen on.", mend="write it as localhost:3476")
    host = host.removeprefix("[").removesuffix("]")
    try:
        if not host and socket.has_dualstack_ipv6():
            both = socket.create_server(("", int(port)), family=socket.AF_INET6, dualstack_ipv6=True, backlog=BACKLOG)
            return _served(both)
        found = socket.getaddrinfo(host or None, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, where = min(found, key=lambda each: each[0] != socket.AF_INET)
        return _served(socket.create_server((str(where[0]), int(where[1])), family=family, backlog=BACKLOG))
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        why = "bind: address already in use" if taken else error.strerror or str(error)
        shown = f"{'127.0.0.1' if host == 'localhost' else host}:{port}"
        raise HostError(f"listen tcp {shown}: {why}", mend="another address with -l" if taken else "") from error


def _served(listening: socket.socket) -> socket.socket:
    listening.setblocking(False)
    return listening


def is_local(listening: socket.socket) -> bool:
    """Whether only this machine can reach it."""
    name = str(listening.getsockname()[0])
    return name.startswith("127.") or name == "::1"
