"""The page on the scene's server, in Debian's Chromium: on loopback, and whatever would leave the machine is counted."""

import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Request, sync_playwright

from gpudock.monitor.exposition import Exposition
from gpudock.monitor.page.routes import routes
from gpudock.monitor.serve import application
from gpudock.monitor.shares import Tally
from unit.monitor.scene import SceneHistory, SceneSource

CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_ERRAND = re.compile(r"\w+ (?:http://)?[\w.-]+\.(?:google|googleapis|gvt1)\.com[:/]")
WIDE = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}


class Outside:
    """A proxy for everything that is not on loopback: it answers nobody, and remembers who was asked for."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._asked: list[str] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            with caller, contextlib.suppress(OSError):  # reset by the caller
                self._asked.append(caller.recv(200).decode(errors="replace"))

    def asked(self) -> list[str]:
        """Without Chromium's own errands: the time, its account, its updates; and without connections that asked for
        nothing, which it makes ahead of an errand and may leave unused.
        """
        return [each for each in self._asked if each and not _ERRAND.match(each)]

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@dataclass
class Seen:
    """What happened in a page besides what it shows."""

    said: list[str] = field(default_factory=list)  # errors and warnings on the console, and uncaught exceptions
    asked: list[str] = field(default_factory=list)  # addresses

    def watch(self, page: Page) -> None:
        def console(message: ConsoleMessage) -> None:
            if message.type in {"error", "warning"}:
                self.said.append(message.text)

        def error(raised: Error) -> None:
            self.said.append(str(raised))

        def request(made: Request) -> None:
            self.asked.append(made.url)

        page.on("console", console)
        page.on("pageerror", error)
        page.on("request", request)


@contextmanager
def serving(source: SceneSource, *, history: bool = True) -> Iterator[str]:
    """The address of a server that is there meanwhile: page, JSON, events and metrics."""
    import uvicorn

    tally = Tally()
    ended = threading.Event()

    def add() -> None:
        while not ended.wait(0.3):
            tally.add(source.latest())

    listener = socket.create_server(("127.0.0.1", 0))
    app = application(source, SceneHistory() if history else None, routes(), Exposition(source, tally))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1))
    threads = [threading.Thread(target=add), threading.Thread(target=server.run, kwargs={"sockets": [listener]})]
    for thread in threads:
        thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        ended.set()
        server.should_exit = True
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()


@contextmanager
def browser() -> Iterator[tuple[Browser, Outside]]:
    outside = Outside()
    proxy = (f"--proxy-server=http://127.0.0.1:{outside.port}", "--proxy-bypass-list=127.0.0.1")
    try:
        with sync_playwright() as playwright:
            started = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *proxy])
            yield started, outside
            started.close()
    finally:
        outside.close()
