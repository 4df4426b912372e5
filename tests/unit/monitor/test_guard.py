"""Who may ask, and where gpudock refuses to listen."""

import asyncio
import base64
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from gpudock.cli import serve
from gpudock.errors import InputError, RefusedError, UsageError
from gpudock.monitor.guard import OWN_NAMES, Guard
from gpudock.monitor.listen import Address, Tls, _sweep, address, check, waiting
from unit.monitor.asked import request

if TYPE_CHECKING:
    from uvicorn import Server

TOKEN = b"0123456789abcdef0123"


async def inside(scope: Any, receive: Any, send: Any) -> None:
    del scope, receive
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"inside"})


def status(names: tuple[str, ...] = (), token: bytes = b"", **headers: str) -> int:
    return asyncio.run(request(Guard(inside, names=names, token=token), "/metrics", headers=headers)).status


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("localhost", 200), ("localhost:9400", 200), ("127.0.0.1:9400", 200), ("[::1]:9400", 200), ("LOCALHOST", 200),
        ("gpu.example", 421), ("127.0.0.1.evil.example:9400", 421), ("", 421), ("localhost:9400:1", 421),
    ],
)  # fmt: skip
def test_only_own_names_are_answered(host: str, code: int) -> None:
    assert status(OWN_NAMES, host=host) == code


def test_any_name_where_there_is_a_token_instead() -> None:
    assert status(host="gpu.example") == 200


def basic(said: bytes) -> str:
    return "Basic " + base64.b64encode(said).decode()


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (f"Bearer {TOKEN.decode()}", 200), (f"bearer  {TOKEN.decode()} ", 200), (basic(b"prometheus:" + TOKEN), 200),
        (basic(b":" + TOKEN), 200), ("", 401), ("Bearer", 401), ("Bearer wrong", 401), (basic(b"x:wrong"), 401),
        (basic(TOKEN), 401), ("Basic ???", 401), (f"Digest {TOKEN.decode()}", 401), (f"Bearer {TOKEN.decode()}x", 401),
    ],
)  # fmt: skip
def test_a_token_is_a_bearer_token_or_a_password(said: str, code: int) -> None:
    assert status(token=TOKEN, authorization=said) == code


def test_browsers_are_asked_for_it() -> None:
    answer = asyncio.run(request(Guard(inside, token=TOKEN), "/"))
    assert answer.headers["www-authenticate"].startswith("Basic")
    assert answer.body == b"a token is needed\n"


def test_nothing_speaks_websocket_here() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message["type"])

    async def receive() -> Any:
        raise AssertionError

    asyncio.run(Guard(inside)({"type": "websocket", "headers": []}, receive, send))
    assert sent == ["websocket.close"]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("127.0.0.1:9400", Address("127.0.0.1", 9400)),
        ("[::1]:80", Address("::1", 80)),
        ("localhost:1", Address("localhost", 1)),
        ("0.0.0.0:9400", Address("0.0.0.0", 9400)),
    ],
)
def test_addresses(text: str, where: Address) -> None:
    assert address(text) == where
    assert address(str(where)) == where


@pytest.mark.parametrize(
    "text", ["", "9400", ":9400", "127.0.0.1", "127.0.0.1:99999", "gpu.example:80", "127.0.0.1:\uff19", "::1:80x"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(UsageError):
        address(text)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "8.8.8.8"])
def test_a_public_address_needs_tls_and_a_token(host: str) -> None:
    public = Address(host, 9400)
    for tls, token in ((None, b""), (Tls("c", "k"), b""), (None, TOKEN)):
        with pytest.raises(RefusedError) as error:
            check([Address("127.0.0.1", 1), public], tls, token)
        assert "--tls-cert" in error.value.mend
    check([public], Tls("c", "k"), TOKEN)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_this_machine_needs_neither(host: str) -> None:
    check([Address(host, 9400)], None, b"")


def test_the_token_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_bytes(TOKEN + b"\n")
    path.chmod(0o600)
    assert serve._token(str(path)) == TOKEN
    path.chmod(0o640)
    with pytest.raises(RefusedError):
        serve._token(str(path))
    path.chmod(0o600)
    for wrong in (b"short", b"", TOKEN + b"\n" + TOKEN):
        path.write_bytes(wrong)
        with pytest.raises(InputError):
            serve._token(str(path))
    with pytest.raises(InputError):
        serve._token(str(tmp_path / "nothing"))


def wish(**changed: Any) -> Any:
    usual: dict[str, Any] = {
        "listen": "127.0.0.1:9400", "tls_cert": "", "tls_key": "", "token_file": "", "allow_host": (), "families": "gpudock,dcgm",
        "process_series": False, "compat": (), "interval": "1", "commands": False, "history": "", "no_history": False,
    }  # fmt: skip
    return serve._wish(**(usual | changed))


def test_what_the_command_line_asks_for() -> None:
    made = wish(compat=("roguepanda", "mindprince"), allow_host=("gpu.lab",), families="gpudock", no_history=True)
    assert [str(each) for each in made.addresses] == ["127.0.0.1:9400", "127.0.0.1:9200", "127.0.0.1:9445"]
    assert made.names == (*OWN_NAMES, "127.0.0.1", "gpu.lab")
    assert (made.choice.groups, made.history) == (("gpudock",), "")
    assert wish(history="/x/y.db").history == "/x/y.db"


@pytest.mark.parametrize(
    "changed",
    [
        {"families": "nothing"}, {"families": ""}, {"compat": ("nobody",)}, {"interval": "0.1"}, {"interval": "nan"},
        {"interval": "x"}, {"tls_cert": "a"}, {"tls_key": "b"}, {"listen": "here"},
    ],
)  # fmt: skip
def test_a_wrong_command_line(changed: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        wish(**changed)


def test_old_exporters_are_not_public_either() -> None:
    with pytest.raises(RefusedError):
        wish(listen="0.0.0.0:9400", compat=("roguepanda",))


class Transport:
    def __init__(self, left: int, closing: bool = False) -> None:
        self.left, self.closing = left, closing
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True

    def get_write_buffer_size(self) -> int:
        return self.left

    def is_closing(self) -> bool:
        return self.closing


class Connection:
    def __init__(self, transport: Transport, complete: bool | None, between: bool = False) -> None:
        self.transport = transport
        self.timeout_keep_alive_task = object() if between else None
        self.cycle = None if complete is None else SimpleNamespace(response_complete=complete)


@pytest.mark.parametrize(
    ("connection", "left"),
    [
        (Connection(Transport(0), None), 0),  # connected, and says nothing
        (Connection(Transport(0), complete=True, between=True), None),  # it may ask again later
        (Connection(Transport(0), complete=True), 0),  # it has begun to, and does not end
        (Connection(Transport(0), complete=False), None),  # it waits for us
        (Connection(Transport(500), complete=False), 500),  # it does not take what it asked for
        (Connection(Transport(500, closing=True), complete=True, between=True), 500),  # nor does it after its answer
        (Connection(Transport(0, closing=True), None), None),
    ],
)
def test_who_is_waited_for(connection: Connection, left: int | None) -> None:
    assert waiting(connection) == left


def test_who_asks_again_and_again_is_not_sent_away_and_who_takes_nothing_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are seen with an answer that is not taken yet at each sweep."""
    busy, slow = (Connection(Transport(500), complete=False) for _ in range(2))
    server = SimpleNamespace(server_state=SimpleNamespace(connections={busy, slow}))
    clock = [0.0]

    async def passes(seconds: float) -> None:
        clock[0] += seconds
        busy.cycle = SimpleNamespace(response_complete=False)
        if clock[0] > 20:
            raise asyncio.CancelledError

    monkeypatch.setattr("asyncio.sleep", passes)
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(_sweep([cast("Server", server)]))
    assert (busy.transport.aborted, slow.transport.aborted) == (False, True)
