"""Runs the web servers: several addresses on one event loop, and nobody who is slow keeps a place for long."""

import asyncio
import contextlib
import functools
import ipaddress
import resource
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, cast

from gpudock.errors import HostError, RefusedError, UsageError
from gpudock.monitor.guard import Application
from gpudock.plan.quote import quote

if TYPE_CHECKING:
    import socket

    from uvicorn import Server
    from uvicorn.protocols.http.h11_impl import H11Protocol

PATIENCE = 10.0  # seconds in which a client has to ask, or to take some of its answer
BETWEEN = 75  # seconds from an answer to the next request; Prometheus asks once a minute unless told otherwise
LONGEST_HEAD = 16 << 10  # bytes of a request's head


class Address(NamedTuple):
    host: str
    port: int

    @property
    def loopback(self) -> bool:
        return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Tls(NamedTuple):
    certificate: str
    key: str


class Site(NamedTuple):
    address: Address
    application: Application


def address(text: str) -> Address:
    """ "127.0.0.1:9400", "[::1]:9400" or "localhost:9400". Raises UsageError."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if colon and port.isascii() and port.isdecimal() and int(port) < 65536:
        if host == "localhost":
            return Address(host, int(port))
        with contextlib.suppress(ValueError):
            return Address(str(ipaddress.ip_address(host)), int(port))
    raise UsageError(f"{quote(text)} is no address to listen on.", mend="write it like 127.0.0.1:9400")


def check(addresses: Sequence[Address], tls: Tls | None, token: bytes) -> None:
    """Raises RefusedError for an address that others can reach while they could read along, or need no token."""
    open_ones = [each for each in addresses if not each.loopback]
    if open_ones and not (tls and token):
        raise RefusedError(
            f"{open_ones[0]} can be reached from other machines.",
            why="who uses which GPU is nobody's business without a token, and a token is safe only with TLS",
            mend="give --tls-cert, --tls-key and --token-file; or listen on 127.0.0.1, and use ssh -L or a proxy",
        )


def serve(sites: Sequence[Site], tls: Tls | None, bound: Callable[[], None]) -> None:
    """Until SIGINT or SIGTERM. Calls `bound` once clients can come. Raises HostError when an address cannot be had."""
    _more_descriptors()
    asyncio.run(_serve(sites, tls, bound))


async def _serve(sites: Sequence[Site], tls: Tls | None, bound: Callable[[], None]) -> None:
    ended = asyncio.Event()
    servers = [(_server(site, tls, ended), _bound(site.address)) for site in sites]
    bound()
    loop = asyncio.get_running_loop()
    if tls:  # uvicorn has no setting for it
        patient = {"ssl_handshake_timeout": PATIENCE, "ssl_shutdown_timeout": PATIENCE}
        loop.create_server = functools.partial(loop.create_server, **patient)  # type: ignore[method-assign]
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    async with asyncio.TaskGroup() as group:
        sweeper = group.create_task(_sweep([server for server, _ in servers]))
        await asyncio.gather(*(server.serve([socket]) for server, socket in servers))
        sweeper.cancel()


def _server(site: Site, tls: Tls | None, ended: asyncio.Event) -> "Server":
    import uvicorn  # noqa: PLC0415  only who serves has it

    try:
        config = uvicorn.Config(
            site.application,
            http="h11",
            ws="none",
            lifespan="on",
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            h11_max_incomplete_event_size=LONGEST_HEAD,
            timeout_keep_alive=BETWEEN,
            timeout_graceful_shutdown=1,
            ssl_certfile=tls.certificate if tls else None,
            ssl_keyfile=tls.key if tls else None,
        )
        config.load()
    except OSError as error:  # ssl.SSLError is one
        raise HostError(
            "The certificate cannot be used.", why=str(error), mend="see --tls-cert and --tls-key"
        ) from error

    class Quiet(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            """uvicorn's way ends the process by the signal, before anything is put away."""
            yield

        async def main_loop(self) -> None:
            """uvicorn's way looks ten times a second whether to end, which costs more than a scrape."""
            while not ended.is_set():
                await self.on_tick(0)  # the time that answers have in their head
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), 1)

    return Quiet(config)


def _bound(where: Address) -> "socket.socket":
    import socket  # noqa: PLC0415  start-up time

    family = socket.AF_INET6 if ":" in where.host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind(("127.0.0.1" if where.host == "localhost" else where.host, where.port))
        made.listen(1024)
    except OSError as error:
        made.close()
        mend = "name another with --listen, or end what uses it"
        raise HostError(f"gpudock cannot listen on {where}.", why=error.strerror or str(error), mend=mend) from error
    return made


async def _sweep(servers: Sequence["Server"]) -> None:
    """Ends connections that neither ask nor take anything for PATIENCE seconds: uvicorn has no such limit."""
    watched: dict[H11Protocol, tuple[float, int, object]] = {}
    while True:
        await asyncio.sleep(PATIENCE / 4)
        now = time.monotonic()
        connections = [cast("H11Protocol", each) for server in servers for each in server.server_state.connections]
        watched = {each: watched.get(each, (now, -1, None)) for each in connections}
        for each in connections:
            since, size, cycle = watched[each]
            left = waiting(each)
            if left is None or 0 <= left < size or each.cycle is not cycle:
                watched[each] = (now, left or 0, each.cycle)
            elif now - since > PATIENCE:
                each.transport.abort()
            else:
                watched[each] = (since, left, cycle)


def waiting(connection: object) -> int | None:
    """What a client is waited for: bytes that it has not taken, 0 for a request; None: it is not waited for."""
    transport = getattr(connection, "transport", None)
    cycle = getattr(connection, "cycle", None)
    if transport is None:
        return None
    left = int(transport.get_write_buffer_size())
    if left:
        return left
    if transport.is_closing() or getattr(connection, "timeout_keep_alive_task", None):  # uvicorn ends it after BETWEEN
        return None
    return 0 if cycle is None or cycle.response_complete else None


def _more_descriptors() -> None:
    """A thousand clients are a thousand descriptors; the usual limit is just that."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, 65536) if hard != resource.RLIM_INFINITY else 65536
    if soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
