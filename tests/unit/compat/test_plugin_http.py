"""The HTTP server against clients that are slow, wrong or hostile. On a socket in the test's folder."""

import asyncio
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import pytest

from gpudock.compat import plugin_http
from gpudock.compat.plugin_http import BODY_LIMIT, HEADER_LIMIT, Reply, Request, Server

Scenario = Callable[[str, list[Request]], Awaitable[None]]


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin_http, "HEADER_DEADLINE", 0.2)
    monkeypatch.setattr(plugin_http, "BODY_DEADLINE", 0.2)


@pytest.fixture
def path() -> Iterator[str]:
    """Short: the name of a socket has at most 107 bytes."""
    with tempfile.TemporaryDirectory() as folder:
        yield f"{folder}/s"


@asynccontextmanager
async def serving(path: str, most: int = 50, delay: float = 0.0) -> AsyncIterator[list[Request]]:
    seen: list[Request] = []

    async def serve(request: Request) -> Reply:
        seen.append(request)
        await asyncio.sleep(delay)
        return Reply(200, b"well")

    server = Server(serve, most=most)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen(512)
    listening.setblocking(False)
    await server.start(listening)
    try:
        yield seen
    finally:
        await server.stop(1.0)


async def said(path: str, data: bytes, *, close: bool = False) -> bytes:
    """All that the server answers to these bytes."""
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(data)
    if close:
        writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


def run(work: Awaitable[None]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(work, 20)

    asyncio.run(bounded())


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def test_a_request_is_read_and_answered(path: str) -> None:
    async def scenario() -> None:
        async with serving(path) as seen:
            answer = await said(path, b"POST /a/b?c=d HTTP/1.1\r\nHost: x\r\nX-Y:  z \r\nContent-Length: 3\r\n\r\nabc")
            head, _, body = answer.partition(b"\r\n\r\n")
            assert (status(answer), body) == (200, b"well")
            assert b"Content-Length: 4\r\nConnection: close" in head
            assert seen == [Request("POST", "/a/b", "c=d", {"host": "x", "x-y": "z", "content-length": "3"}, b"abc")]
            answer = await said(path, b"HEAD / HTTP/1.0\r\n\r\n")
            assert answer.endswith(b"Content-Length: 4\r\nConnection: close\r\n\r\n")

    run(scenario())


GET = b"GET / HTTP/1.1\r\n"
WRONG = {
    "no request": (b"\r\n\r\n", 400),
    "no version": (b"GET /\r\n\r\n", 400),
    "version 2": (b"GET / HTTP/2.0\r\n\r\n", 400),
    "two spaces": (b"GET  / HTTP/1.1\r\n\r\n", 400),
    "lower case": (b"get / HTTP/1.1\r\n\r\n", 400),
    "no path": (b"GET x HTTP/1.1\r\n\r\n", 400),
    "control character": (b"GET /\x00 HTTP/1.1\r\n\r\n", 400),
    "bytes": (b"\x16\x03\x01\x02\x00" + os.urandom(3) + b"\r\n\r\n", 400),
    "bare newline": (b"GET / HTTP/1.1\nHost: x\n\r\n\r\n", 400),
    "folded header": (GET + b"A: b\r\n c\r\n\r\n", 400),
    "space before colon": (GET + b"Content-Length : 5\r\n\r\nhello", 400),
    "no colon": (GET + b"Host\r\n\r\n", 400),
    "carriage return inside": (GET + b"A: b\rC: d\r\n\r\n", 400),
    "two lengths": (GET + b"Content-Length: 0\r\nContent-Length: 5\r\n\r\nhello", 400),
    "two hosts": (GET + b"Host: a\r\nhost: b\r\n\r\n", 400),
    "length in hexadecimal": (GET + b"Content-Length: 0x5\r\n\r\nhello", 400),
    "negative length": (GET + b"Content-Length: -1\r\n\r\n", 400),
    "other digits": (GET + b"Content-Length: \xb2\r\n\r\n", 400),
    "huge length": (GET + b"Content-Length: 99999999999999999999\r\n\r\n", 400),
    "chunked": (GET + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
    "too long a body": (GET + b"Content-Length: %d\r\n\r\n" % (BODY_LIMIT + 1), 413),
    "too long a path": (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\n\r\n", 400),
    "too many headers": (GET + b"A: b\r\n" * 200 + b"\r\n", 431),
    "too long headers": (GET + b"A: " + b"b" * (HEADER_LIMIT + 5000) + b"\r\n\r\n", 431),
    "endless header": (GET + b"A: " + b"b" * (HEADER_LIMIT + 5000), 431),
    "pipelined": (GET + b"\r\n" + GET + b"\r\n", 400),
    "more than the body": (GET + b"Content-Length: 1\r\n\r\nabc", 400),
    "waits for leave": (GET + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n", 417),
    "slow header": (GET + b"A: b\r\n", 408),
    "slow body": (GET + b"Content-Length: 5\r\n\r\nab", 408),
}


@pytest.mark.parametrize(("data", "expected"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_refused_as_go_refuses_it(path: str, data: bytes, expected: int) -> None:
    async def scenario() -> None:
        async with serving(path) as seen:
            answer = await said(path, data)
            assert status(answer) == expected
            assert b"Content-Type: text/plain; charset=utf-8\r\n" in answer
            assert answer.endswith(answer.partition(b" ")[2].partition(b"\r\n")[0])  # "400 Bad Request"
            assert b"Traceback" not in answer
            assert seen == []
            assert status(await said(path, GET + b"\r\n")) == 200

    run(scenario())


def test_the_largest_body_is_read(path: str) -> None:
    async def scenario() -> None:
        async with serving(path) as seen:
            assert status(await said(path, GET + b"Content-Length: %d\r\n\r\n" % BODY_LIMIT + bytes(BODY_LIMIT))) == 200
            assert len(seen[0].body) == BODY_LIMIT

    run(scenario())


def test_clients_that_go_away(path: str) -> None:
    async def scenario() -> None:
        async with serving(path) as seen:
            for data in (b"", b"GET", GET, GET + b"Content-Length: 5\r\n\r\nab"):
                assert await said(path, data, close=True) == b""
            assert seen == []
            assert status(await said(path, GET + b"\r\n", close=True)) == 200

    run(scenario())


def test_the_slowest_make_room(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four times as many slow clients as there is room for: the others are answered before any of them gives up."""
    monkeypatch.setattr(plugin_http, "HEADER_DEADLINE", 1000.0)

    async def scenario() -> None:
        async with serving(path, most=50):
            slow = [await asyncio.open_unix_connection(path) for _ in range(200)]
            for _, writer in slow:
                writer.write(b"GET / HT")
            for _ in range(20):
                assert status(await said(path, GET + b"\r\n")) == 200
            for _, writer in slow:
                writer.close()

    run(scenario())


def test_who_is_being_served_is_not_driven_out(path: str) -> None:
    async def scenario() -> None:
        async with serving(path, most=3, delay=0.3):
            served = [asyncio.create_task(said(path, GET + b"\r\n")) for _ in range(3)]
            await asyncio.sleep(0.1)
            assert status(await said(path, GET + b"\r\n")) == 503
            assert [status(answer) for answer in await asyncio.gather(*served)] == [200] * 3

    run(scenario())


def test_stopping_finishes_what_is_served(path: str) -> None:
    async def scenario() -> None:
        async with serving(path, delay=0.2):
            waiting = asyncio.create_task(said(path, GET))
            served = asyncio.create_task(said(path, GET + b"\r\n"))
            await asyncio.sleep(0.1)
        assert status(await served) == 200
        assert await waiting == b""

    run(scenario())
