"""gpudock serve with real clients: promtool, a thousand slow ones, garbage; and with a driver that hangs.

Prometheus scrapes it in test_dashboards.
"""

import contextlib
import http.client
import json
import os
import random
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gpudock import proc
from gpudock.monitor import recorder
from gpudock.monitor.metrics_small import SMALL
from gpudock.monitor.store import Store
from gpudock.testing.simulate import build, description
from real.harness.commands import run
from unit.monitor import demo, golden

pytestmark = pytest.mark.real
SLOW_CLIENTS = 1000


@pytest.fixture(scope="module")
def gpus(session_root: Path) -> Path:
    made = description.make(2, "H200", "580.159.04", mig=("", "3g.71gb"))
    first = msgspec.structs.replace(made.gpus[0], utilization=30, swing=20)
    folder = session_root / "served"
    build.build(msgspec.structs.replace(made, gpus=(first, made.gpus[1])), str(folder), runner=proc.run)
    return folder


def free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


def until(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it does not come true"
        time.sleep(0.05)
    return found


@dataclass
class Server:
    process: "subprocess.Popen[str]"
    port: int

    def get(self, path: str, timeout: float = 10) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def metric(self, name: str, path: str = "/metrics") -> float | None:
        for line in self.get(path)[1].splitlines():
            if line.startswith((f"{name} ", f"{name}{{")):
                return float(line.rpartition(" ")[2])
        return None

    def memory(self) -> int:
        """KiB, with those of the child that asks the driver."""
        texts = [Path(f"/proc/{pid}/status").read_text() for pid in (self.process.pid, *self.child())]
        return sum(int(text.partition("VmRSS:")[2].split()[0]) for text in texts)

    def child(self) -> list[int]:
        texts = [path.read_text() for path in Path(f"/proc/{self.process.pid}/task").glob("*/children")]
        return [int(each) for text in texts for each in text.split()]


@contextlib.contextmanager
def serving(gpus: Path, folder: Path, *words: str) -> Iterator[Server]:
    port = free_port()
    argv = [sys.executable, "-m", "gpudock", "serve", "--simulated", str(gpus), "--listen", f"127.0.0.1:{port}"]
    argv += ["--interval", "0.5", "--history", str(folder / "history.db"), *words]
    env = os.environ | {"GPUDOCK_RUN_DIR": str(folder / "run")}
    with (folder / "serve.log").open("w") as log:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, text=True, env=env)
    server = Server(process, port)

    def up() -> bool:
        assert process.poll() is None, (folder / "serve.log").read_text()
        with contextlib.suppress(OSError):
            return server.get("/-/ready")[0] == 200
        return False

    try:
        if "--tls-cert" not in words:
            until(up)
        yield server
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module")
def server(gpus: Path, session_root: Path) -> Iterator[Server]:
    folder = session_root / "serving"
    folder.mkdir()
    with serving(gpus, folder) as made:
        yield made


def linted(text: str) -> tuple[int, list[str]]:
    """1: it cannot be read; 3: there is something to say."""
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    return done.returncode, [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]


def test_promtool_has_nothing_to_say_of_our_names(server: Server) -> None:
    every, dcgm, _ = golden.made()["all.prom"].partition("# HELP DCGM")
    assert dcgm
    assert linted(every) == (0, [])
    assert linted(server.get("/metrics?families=gpudock")[1]) == (0, [])


@pytest.mark.parametrize("name", ["all", *SMALL])
def test_promtool_can_read_the_others_and_has_only_to_say_how_they_are_called(name: str) -> None:
    code, said = linted(golden.made()[f"{name}.prom"])
    assert code in {0, 3}, said
    assert [line for line in said if "should" not in line] == []


def test_events_come_as_they_are_made(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", "/api/v1/events")
    answer = connection.getresponse()
    numbers: list[int] = []
    while len(numbers) < 3:
        line = answer.readline().decode()
        if line.startswith("data: "):
            numbers.append(json.loads(line[6:])["number"])
    connection.close()
    assert numbers == sorted(set(numbers))


def test_history_is_kept(server: Server) -> None:
    usage = until(lambda: json.loads(server.get("/api/v1/usage?by=user")[1])["recorded_since"], 30)
    chart = json.loads(server.get("/api/v1/history?metric=power&since=-60")[1])
    assert usage
    assert {each["label"] for each in chart["series"]} == {"GPU 0", "GPU 1"}


def garbage(chance: random.Random) -> bytes:
    kinds: Sequence[Callable[[], bytes]] = (
        lambda: chance.randbytes(chance.randrange(1, 400)),
        lambda: b"GET /" + chance.randbytes(30) + b" HTTP/1.1\r\n\r\n",
        lambda: (
            b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n" + b"X: " + b"y" * chance.randrange(20_000) + b"\r\n\r\n"
        ),
        lambda: b"POST /api/v1/sample HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\nx",
        lambda: (
            b"GET /api/v1/history?since=%ff&points="
            + str(chance.random()).encode()
            + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
        ),
        lambda: b"GET /api/v1/usage?by=" + chance.randbytes(5).hex().encode() + b" HTTP/1.0\r\nHost: localhost\r\n\r\n",
        lambda: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        lambda: b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
        lambda: b"GET / HTTP/1.1\r\nHost: evil\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
    )
    return chance.choice(kinds)()


def fuzz(server: Server, count: int) -> tuple[int, int]:
    """How many were taken, and how many of those that were waited for were answered."""
    chance = random.Random(7)
    taken = answered = 0
    for _ in range(count):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", server.port), timeout=5) as made:
            taken += 1
            made.sendall(garbage(chance))
            if chance.random() < 0.5:
                made.settimeout(0.05)
                answered += made.recv(4096).startswith(b"HTTP/1.1 ")
    return taken, answered


def test_garbage_is_answered_or_dropped_and_nothing_else(server: Server) -> None:
    before = server.memory()
    taken, answered = fuzz(server, 1000)
    assert taken == 1000
    assert answered > 100
    assert server.get("/metrics")[0] == 200
    assert server.process.poll() is None
    assert server.memory() - before < 20_000


def test_a_thousand_slow_clients_keep_nobody_from_being_answered(server: Server) -> None:
    clients = []
    try:
        for index in range(SLOW_CLIENTS):
            made = socket.create_connection(("127.0.0.1", server.port), timeout=10)
            # A third says nothing, a third never ends its head, a third takes nothing of the answer.
            made.sendall(
                (b"", b"GET /metrics HTTP/1.1\r\nHost: local", b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")[
                    index % 3
                ]
            )
            clients.append(made)
        assert server.get("/metrics", timeout=10)[0] == 200
        assert server.memory() < 200_000

        def left() -> int:
            return len(os.listdir(f"/proc/{server.process.pid}/fd"))

        until(lambda: left() < SLOW_CLIENTS / 2, 40)  # they are sent away
    finally:
        for each in clients:
            each.close()
    assert server.get("/-/healthy")[0] == 200


def test_a_driver_that_hangs(gpus: Path, tmp_path: Path) -> None:
    faults = gpus / "faults"
    with serving(gpus, tmp_path) as server:
        assert server.metric("gpudock_collect_success") == 1
        faults.write_text("nvmlDeviceGetPowerUsage hang\n")
        try:
            until(lambda: server.metric("gpudock_collect_success") == 0, 20)
            assert server.metric("DCGM_FI_DEV_GPU_UTIL") is None
            assert server.get("/-/ready")[0] == 503
            sample = json.loads(server.get("/api/v1/sample")[1])
            assert sample["age"] > 2
            assert len(sample["gpus"]) == 2  # as they were, with their age
            until(lambda: "no answer" in " ".join(json.loads(server.get("/api/v1/sample")[1])["problems"]))
        finally:
            faults.unlink()
        until(lambda: server.metric("gpudock_collect_success") == 1, 40)


def test_a_child_that_is_killed_is_replaced_and_the_last_one_is_taken_along(gpus: Path, tmp_path: Path) -> None:
    with serving(gpus, tmp_path) as server:
        (child,) = server.child()
        os.kill(child, signal.SIGKILL)
        (child,) = until(lambda: [each for each in server.child() if each != child], 20)
        until(lambda: server.metric("gpudock_collect_success") == 1)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(5) == 0
        until(lambda: not Path(f"/proc/{child}").exists(), 5)


def test_old_exporters_on_their_ports(gpus: Path, tmp_path: Path) -> None:
    with serving(gpus, tmp_path, "--compat", "roguepanda"):
        for path in ("/metrics", "/", "/whatever"):
            with urllib.request.urlopen(f"http://127.0.0.1:9200{path}", timeout=5) as answer:
                assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
                assert b"nvidia_device_count 2.0\n" in answer.read()


def test_tls_and_a_token(gpus: Path, tmp_path: Path) -> None:
    key, certificate, token = tmp_path / "key.pem", tmp_path / "cert.pem", tmp_path / "token"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", *names, "-keyout", str(key), "-out", str(certificate)])  # fmt: skip
    token.write_text("0123456789abcdef0123\n")
    token.chmod(0o600)
    words = ("--tls-cert", str(certificate), "--tls-key", str(key), "--token-file", str(token))
    with serving(gpus, tmp_path, *words) as server:
        context = ssl.create_default_context(cafile=str(certificate))

        def status(**headers: str) -> int | None:
            connection = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=5, context=context)
            with contextlib.closing(connection), contextlib.suppress(ConnectionError):
                connection.request("GET", "/metrics", headers=headers)
                with connection.getresponse() as answer:
                    return answer.status
            return None

        until(lambda: status() == 401)
        bearer = {"Authorization": "Bearer 0123456789abcdef0123"}
        assert status(**bearer) == 200
        # Who speaks no TLS is sent away. Who asks each second stays connected, and who asks once in a while.
        often, seldom = (
            http.client.HTTPSConnection("127.0.0.1", server.port, timeout=5, context=context) for _ in "12"
        )
        with socket.create_connection(("127.0.0.1", server.port), 0.01) as silent:

            def ask(connection: http.client.HTTPSConnection) -> socket.socket:
                connection.request("GET", "/-/healthy", headers=bearer)
                assert connection.getresponse().read() == b"healthy\n"
                return connection.sock

            first, other = ask(often), ask(seldom)
            for _ in range(13):
                time.sleep(1)
                assert ask(often) is first
            assert ask(seldom) is other
            assert silent.recv(1) == b""
        often.close()
        seldom.close()


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--listen", "0.0.0.0:9400"), 5, "can be reached from other machines"),
        (("--listen", "{taken}"), 4, "cannot listen on"),
        (("--tls-cert", "/dev/null", "--tls-key", "/dev/null"), 3, "are no certificate and its key"),
    ],
)
def test_what_it_refuses(  # noqa: PLR0917  three of them are fixtures
    words: tuple[str, ...], code: int, says: str, server: Server, gpus: Path, tmp_path: Path
) -> None:
    given = [word.replace("{taken}", f"127.0.0.1:{server.port}") for word in words]
    argv = [
        sys.executable,
        "-m",
        "gpudock",
        "serve",
        "--simulated",
        str(gpus),
        "--history",
        str(tmp_path / "h.db"),
        *given,
    ]
    done = run(argv, check=False, timeout=30)
    assert done.returncode == code
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_disk_that_is_full_delays_the_history_and_loses_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "AGAIN", 0.05)
    place = tmp_path / "small"
    place.mkdir()
    run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)])
    try:
        made = recorder.Recorder(Store(str(place / "history.db")))
        with contextlib.suppress(OSError), (place / "others").open("wb", buffering=0) as others:
            while True:
                others.write(bytes(4096))
        for tick in range(25):
            made.listen(demo.sample(tick))
        until(lambda: "full" in made.problem)
        (place / "others").unlink()
        until(lambda: not made.problem)
        made.close()
        made._thread.join()
        with contextlib.closing(sqlite3.connect(place / "history.db")) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            query = "SELECT count(*), sum(held) FROM gpus JOIN names ON id = gpu WHERE label = 'GPU 0'"
            assert database.execute(query).fetchone() == (3, 24.0)
    finally:
        run(["umount", str(place)])


@pytest.mark.soak
def test_memory_stays_flat_for_twenty_minutes(gpus: Path, tmp_path: Path) -> None:
    minutes = float(os.environ.get("GPUDOCK_SOAK_MINUTES", "20"))
    chance = random.Random(1)
    with serving(gpus, tmp_path) as server:
        end = time.monotonic() + 60 * minutes
        settled = requests = 0
        first: list[int] = []
        while time.monotonic() < end:
            lines = [
                f"{chance.randrange(2)} {chance.randrange(2, 30000)} 1048576 {chance.randrange(100)} p\n"
                for _ in range(100)
            ]
            (gpus / "processes").write_text("".join(lines))
            requests += fuzz(server, 150)[0]
            time.sleep(2)  # the machine has other things to do
            for path in ("/metrics", "/api/v1/sample", "/api/v1/usage", "/api/v1/history?since=-86400"):
                assert server.get(path)[0] == 200
            if not settled and end - time.monotonic() < 60 * minutes * 0.75:
                settled, first = server.memory(), server.child()
        (gpus / "processes").unlink()
        assert settled
        assert server.child() == first  # one that was started anew would hide what the one before took
        assert server.memory() - settled < 8_000  # KiB
        assert requests > 500 * minutes
