"""Who may ask: everybody on this machine by its own names, or whoever has the token. Wraps an application."""

import base64
import binascii
import hmac
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

OWN_NAMES = ("localhost", "127.0.0.1", "[::1]")


class Guard:
    """`names`: host names that a request may ask for, none: any. A page of somebody else's, whose name he lets point to
    127.0.0.1, is thereby kept out. `token`: as a bearer token, or as the password of any user.
    """

    def __init__(self, application: Application, *, names: Collection[str] = (), token: bytes = b"") -> None:
        self._application, self._token = application, token
        self._names = frozenset(name.lower().encode() for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
            return
        if scope["type"] == "http":
            headers = dict(scope["headers"])
            if self._names and _host(headers.get(b"host", b"")) not in self._names:
                await _refuse(
                    send, 421, b"gpudock is not called that here: use localhost, or let serve have --allow-host NAME\n"
                )
                return
            if self._token and not _knows(headers.get(b"authorization", b""), self._token):
                await _refuse(send, 401, b"a token is needed\n", (b"www-authenticate", b'Basic realm="gpudock"'))
                return
        await self._application(scope, receive, send)


def _host(value: bytes) -> bytes:
    """Without the port."""
    name, colon, port = value.rpartition(b":")
    return (name if colon and port.isdigit() else value).lower()


def _knows(authorization: bytes, token: bytes) -> bool:
    scheme, _, said = authorization.partition(b" ")
    said = said.strip()
    if scheme.lower() == b"basic":
        try:
            said = base64.b64decode(said, validate=True).partition(b":")[2]
        except (binascii.Error, ValueError):
            return False
    elif scheme.lower() != b"bearer":
        return False
    return hmac.compare_digest(said, token)


async def _refuse(send: Send, status: int, why: bytes, *headers: tuple[bytes, bytes]) -> None:
    plain = (b"content-type", b"text/plain; charset=utf-8")
    await send({"type": "http.response.start", "status": status, "headers": [plain, *headers]})
    await send({"type": "http.response.body", "body": why})
