"""nvidia-docker-plugin: Docker's volume driver on a unix socket and the REST API on a TCP port, until told to stop."""

import asyncio
import contextlib
import glob
import os
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

from gpudock import proc, publish
from gpudock.compat import plugin_socket, volume_static
from gpudock.compat.plugin_api import PluginApi
from gpudock.compat.plugin_http import INTERNAL, Reply, Request, Serve, Server
from gpudock.compat.plugin_log import Log, explained
from gpudock.compat.rest_api import ASKS_DRIVER, RestApi
from gpudock.compat.rest_source import Source
from gpudock.compat.volume import Volumes
from gpudock.errors import GpudockError, HostError
from gpudock.plan.document import Plan
from gpudock.plan.quote import count

PLUGIN_CONNECTIONS, REST_CONNECTIONS = 128, 256
PATIENCE = 10.0  # seconds to finish what is being served, after TERM
LOOK = 2.0  # seconds between looks at the specification


class Settings(NamedTuple):
    listen: str
    sockets: str  # folder of the socket
    volumes: str
    spec: str | None = None  # file that tells Docker where the socket is, when it does not look there by itself


class Daemon:
    """`plan` gives the plan in force or raises a GpudockError; `switch` is the file whose change means another one."""

    def __init__(self, settings: Settings, plan: Callable[[], Plan], switch: str, log: Log) -> None:
        self._settings, self._plan, self._switch, self._log = settings, plan, switch, log
        self._volumes = Volumes(settings.volumes, plan)
        self._source = Source(plan, self._has_gpus, proc.run, log)

    def run(self) -> None:
        """Serve until TERM or INT. Raises GpudockError when it cannot begin."""
        os.umask(0o022)
        self._log("Discovering GPU devices")
        self._discover()
        self._log(f"Provisioning volumes at {self._settings.volumes}")
        self._volumes.prepare()
        with contextlib.ExitStack() as stack:
            stack.enter_context(plugin_socket.alone(self._settings.sockets))
            rest = stack.enter_context(contextlib.closing(plugin_socket.tcp(self._settings.listen)))
            plugin = stack.enter_context(plugin_socket.unix(self._settings.sockets))
            stack.enter_context(_spec(self._settings))
            asyncio.run(self._serve(plugin, rest))
        self._log("Successfully terminated")

    def _has_gpus(self) -> bool:
        """A driver has some, or there was a plan for them."""
        return any(map(glob.glob, (glob.escape(self._switch), "/proc/driver/nvidia/gpus/*", "/dev/dxg")))

    def _discover(self) -> None:
        plan = self._source.plan()
        if plan:
            gpus = count(len(plan["gpus"]), "GPU")
            self._log(f"Driver {plan['driver']}, {gpus}{', SIMULATED' if plan['simulated'] else ''}")

    async def _serve(self, plugin: socket.socket, rest: socket.socket) -> None:
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self._log(f"Error: {context['message']}"))
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopped.set)
        # Threads of their own for each: a driver that hangs, or a copy that takes long, holds up its own kind only.
        with ThreadPoolExecutor(4) as volumes, ThreadPoolExecutor(4) as arguments, ThreadPoolExecutor(4) as driver:
            plugin_api = PluginApi(self._volumes, self._log)
            rest_api = RestApi(self._source, self._log, local=plugin_socket.is_local(rest))
            plugin_server = Server(_in_thread(lambda _: volumes, plugin_api.answer, self._log), most=PLUGIN_CONNECTIONS)
            rest_server = Server(
                _in_thread(
                    lambda request: driver if ASKS_DRIVER.match(request.path) else arguments, rest_api.answer, self._log
                ),
                most=REST_CONNECTIONS,
            )
            await plugin_server.start(plugin)
            self._log(f"Serving plugin API at {self._settings.sockets}")
            await rest_server.start(rest)
            self._log(f"Serving remote API at {self._settings.listen}")
            _tell_systemd("READY=1")
            following = asyncio.create_task(self._follow(volumes))
            await stopped.wait()
            _tell_systemd("STOPPING=1")
            following.cancel()
            await asyncio.gather(plugin_server.stop(PATIENCE), rest_server.stop(PATIENCE))

    async def _follow(self, pool: ThreadPoolExecutor) -> None:
        """Fixed folders show another driver as soon as containers get it."""
        seen: tuple[int, int] | None = None
        while True:
            now = _identity(self._switch)
            if now != seen:
                seen = now
                await asyncio.get_running_loop().run_in_executor(pool, self._followed)
            await asyncio.sleep(LOOK)

    def _followed(self) -> None:
        try:
            plan = self._source.plan()
            for line in volume_static.follow(self._volumes, plan) if plan else ():
                self._log(line)
        except GpudockError as error:
            self._log(explained(error))
        except Exception as error:  # noqa: BLE001  the daemon outlives it
            self._log(f"Error: unexpected {type(error).__name__}: {error}")


def _in_thread(pool: Callable[[Request], ThreadPoolExecutor], answer: Callable[[Request], Reply], log: Log) -> Serve:
    async def serve(request: Request) -> Reply:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(pool(request), partial(_guarded, answer, request, log))

    return serve


def _guarded(answer: Callable[[Request], Reply], request: Request, log: Log) -> Reply:
    """The boundary: what goes wrong is in the log, and no client sees more than that."""
    try:
        return answer(request)
    except GpudockError as error:
        log(explained(error))
    except Exception as error:  # noqa: BLE001  the same
        log(f"Error: {request.path}: unexpected {type(error).__name__}: {error}")
    return INTERNAL


def _identity(path: str) -> tuple[int, int]:
    try:
        info = os.stat(path)
    except OSError:
        return (0, 0)
    return (info.st_ino, info.st_mtime_ns)


@contextlib.contextmanager
def _spec(settings: Settings) -> Iterator[None]:
    """The file by which Docker finds a socket in another folder than its own; it goes with the daemon."""
    if settings.spec is None:
        yield
        return
    text = f"unix://{settings.sockets}/{plugin_socket.SOCKET}".encode()
    publish.write(settings.spec, text)
    yield
    with contextlib.suppress(OSError):
        if publish.read_capped(settings.spec, 4096) == text:
            os.unlink(settings.spec)


def _tell_systemd(text: str) -> None:
    """As sd_notify(3); nothing where systemd has not started us."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.sendto(text.encode(), "\0" + address[1:] if address.startswith("@") else address)
    except OSError as error:
        raise HostError("systemd cannot be told that the daemon is ready.", why=str(error)) from error
