"""An ASGI application asked without a server: no sockets, no threads but its own."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec


class Answer(msgspec.Struct):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


async def living(application: Any, work: Callable[[], Any]) -> Any:
    """`work()` awaited while the application's lifespan lasts."""
    incoming: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    started = asyncio.Event()

    async def send(message: dict[str, str]) -> None:
        assert not message["type"].endswith("failed"), message
        started.set()

    task = asyncio.create_task(application({"type": "lifespan", "state": {}}, incoming.get, send))
    await incoming.put({"type": "lifespan.startup"})
    await started.wait()
    try:
        return await work()
    finally:
        await incoming.put({"type": "lifespan.shutdown"})
        await task


async def request(
    application: Any,
    target: str,
    *,
    headers: dict[str, str] | None = None,
    enough: int = 1 << 30,
    method: str = "GET",
    left: bool = False,
) -> Answer:
    """The answer, or as much of it as `enough` bytes; then the client goes away. `left`: it has gone before."""
    path, _, query = target.partition("?")
    pairs = {"host": "127.0.0.1", **(headers or {})}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "scheme": "http",
        "headers": [(name.lower().encode(), value.encode()) for name, value in pairs.items()],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 9400),
        "state": {},
    }
    answer = Answer(0, {}, b"")
    gone = asyncio.Event()
    sent = [{"type": "http.request", "body": b"", "more_body": False}]
    if left:
        gone.set()
        sent.clear()

    async def receive() -> Any:
        if sent:
            return sent.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            answer.body += message.get("body", b"")
            if len(answer.body) >= enough or not message.get("more_body"):
                gone.set()

    await application(scope, receive, send)
    return answer


def ask(application: Any, target: str, **given: Any) -> Answer:
    found: Answer = asyncio.run(living(application, lambda: request(application, target, **given)))
    return found
