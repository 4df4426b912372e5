"""A small and strict HTTP/1.1 server on asyncio: one request a connection, deadlines and limits on everything.

Slow and hostile clients cost a connection for some seconds and nothing else: what is served runs in threads of its own,
and when there are too many connections those go first that have been sending their request the longest.

Why none of the ready-made: http.server gives each slow client a thread and has no deadline for a whole header; uvicorn
has none either, and answers what it cannot read with texts of its own.
"""

import asyncio
import contextlib
import re
import socket
from collections.abc import Awaitable, Callable, Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import NamedTuple

HEADER_DEADLINE = 5.0  # seconds
BODY_DEADLINE = 5.0
WRITE_DEADLINE = 5.0
HEADER_LIMIT = 16 << 10  # bytes
BODY_LIMIT = 1 << 20
MOST_HEADERS = 100
BACKLOG = 512  # connections that wait to be accepted

PLAIN = "text/plain; charset=utf-8"
_REQUEST = re.compile(rb"([A-Z]{1,16}) (/[\x21-\x7e]{0,4095}) HTTP/1\.[01]")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*?)[ \t]*")
_LENGTH = re.compile(r"[0-9]{1,9}")


class Request(NamedTuple):
    method: str
    path: str  # without the query
    query: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes


class Reply(NamedTuple):
    status: int
    body: bytes = b""
    kind: str | None = PLAIN
    headers: tuple[tuple[str, str], ...] = ()


Serve = Callable[[Request], Awaitable[Reply]]


def error(status: int, text: str) -> Reply:
    """As Go's http.Error writes it."""
    return Reply(status, text.encode() + b"\n", PLAIN, (("X-Content-Type-Options", "nosniff"),))


NOT_FOUND = error(404, "404 page not found")
INTERNAL = error(500, "internal error, check logs for details")


class _RefusedError(Exception):
    """A request that is answered with this status, as Go's server does."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.reply = Reply(status, f"{status} {HTTPStatus(status).phrase}".encode())


class Server:
    """Serves what `serve` answers on listening sockets. `most` connections at a time."""

    def __init__(self, serve: Serve, *, most: int) -> None:
        self._serve, self._most = serve, most
        self._reading: dict[asyncio.Task[None], asyncio.StreamWriter] = {}  # the oldest first
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self, listening: socket.socket) -> None:
        begin = asyncio.start_unix_server if listening.family == socket.AF_UNIX else asyncio.start_server
        self._server = await begin(self._connected, sock=listening, limit=HEADER_LIMIT, backlog=BACKLOG)

    async def stop(self, patience: float) -> None:
        """Accept nothing more, finish what is being served, give up the rest."""
        if self._server:
            self._server.close()
        for task in list(self._reading):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=patience)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        while len(self._tasks) >= self._most and self._reading:
            oldest, oldest_writer = next(iter(self._reading.items()))
            del self._reading[oldest]
            self._tasks.discard(oldest)
            oldest_writer.transport.abort()
            oldest.cancel()
        self._tasks.add(task)
        self._reading[task] = writer
        try:
            if len(self._tasks) > self._most:  # all of them are being served
                await _send(writer, Reply(503, b"503 Service Unavailable"), "GET")
                return
            await self._one(reader, writer, task)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass  # a client that went away, or was too slow to be told so
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            self._reading.pop(task, None)
            self._tasks.discard(task)
            await _closed(reader, writer)

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, task: asyncio.Task[None]) -> None:
        method = "GET"
        try:
            request = await _read(reader)
            method = request.method
            self._reading.pop(task, None)
            reply = await self._serve(request)
        except _RefusedError as refused:
            reply = refused.reply
        await _send(writer, reply, method)


async def _read(reader: asyncio.StreamReader) -> Request:
    try:
        async with asyncio.timeout(HEADER_DEADLINE):
            head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        raise _RefusedError(431) from None
    except TimeoutError:
        raise _RefusedError(408) from None
    first, *lines = head[:-4].split(b"\r\n")
    found = _REQUEST.fullmatch(first)
    if not found:
        raise _RefusedError(400)
    headers = _headers(lines)
    body = await _body(reader, headers)
    if not reader.at_eof() and _waiting(reader):
        raise _RefusedError(400)  # a second request behind the first: one a connection
    path, _, query = found[2].decode().partition("?")
    return Request(found[1].decode(), path, query, headers, body)


def _headers(lines: list[bytes]) -> dict[str, str]:
    if len(lines) > MOST_HEADERS:
        raise _RefusedError(431)
    headers: dict[str, str] = {}
    for line in lines:
        found = _HEADER.fullmatch(line)
        name = found[1].decode().lower() if found else ""
        if not found or (name in headers and name in {"content-length", "host", "transfer-encoding"}):
            raise _RefusedError(400)
        headers.setdefault(name, found[2].decode("latin-1"))
    return headers


async def _body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    if "transfer-encoding" in headers:  # neither Docker nor nvidia-docker 1's clients send it
        raise _RefusedError(411)
    length = headers.get("content-length", "0")
    if not _LENGTH.fullmatch(length):
        raise _RefusedError(400)
    if int(length) > BODY_LIMIT:
        raise _RefusedError(413)
    if headers.get("expect", "").lower() == "100-continue":
        raise _RefusedError(417)
    try:
        async with asyncio.timeout(BODY_DEADLINE):
            return await reader.readexactly(int(length))
    except TimeoutError:
        raise _RefusedError(408) from None


def _waiting(reader: asyncio.StreamReader) -> bool:
    """Whether more has come already. The reader has no public way to ask without waiting."""
    return bool(reader._buffer)  # type: ignore[attr-defined]  # noqa: SLF001


async def _send(writer: asyncio.StreamWriter, reply: Reply, method: str) -> None:
    kind = (("Content-Type", reply.kind),) if reply.kind else ()
    headers = [
        *kind,
        *reply.headers,
        ("Date", formatdate(usegmt=True)),
        ("Content-Length", str(len(reply.body))),
        ("Connection", "close"),
    ]
    head = f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in headers)
    writer.write(head.encode("latin-1") + b"\r\n" + (b"" if method == "HEAD" else reply.body))
    async with asyncio.timeout(WRITE_DEADLINE):
        await writer.drain()


async def _closed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say that it was all, and take what the client still sends: a reset would tear the answer out of its hands."""
    with contextlib.suppress(OSError, TimeoutError, asyncio.CancelledError, ValueError):
        if not writer.transport.is_closing() and writer.can_write_eof():
            writer.write_eof()
            async with asyncio.timeout(1.0):
                for _ in range(128):  # of 16 KiB
                    if not await reader.read(HEADER_LIMIT):
                        break
    writer.close()
