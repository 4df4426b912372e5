"""The docker daemon that is to be configured: its process, its flags, the file it reads, and what it says of itself."""

import os
import socket
import struct
import time
from typing import Any, NamedTuple

import msgspec

from gpudock import proc
from gpudock.engine.base import Answer
from gpudock.engine.configure import flags, service
from gpudock.engine.docker import Docker
from gpudock.errors import RefusedError, UsageError
from gpudock.host.engine_docker import DAEMON_JSON, SNAP_JSON
from gpudock.host.root import Root
from gpudock.plan.quote import quote

SECONDS = 15.0
PATHS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # of a service, unless its unit says otherwise
PID_FILE = "/run/docker.pid"


class Info(msgspec.Struct, rename="pascal"):
    """The part of `docker info` that configuration is about."""

    runtimes: dict[str, dict[str, Any]] | None = None
    default_runtime: str = ""
    live_restore_enabled: bool = False
    containers_running: int = 0
    docker_root_dir: str = ""
    registry_config: dict[str, Any] | None = None
    security_options: list[str] | None = None
    generic_resources: list[dict[str, Any]] | None = None
    swarm: dict[str, Any] | None = None

    def path(self, name: str) -> str | None:
        """The program of a runtime; None when there is no such runtime."""
        entry = (self.runtimes or {}).get(name)
        return None if entry is None else str(entry.get("path", ""))


class Process(NamedTuple):
    pid: int
    uid: int
    arguments: tuple[str, ...]
    path: str  # its PATH
    program: str | None  # the file it runs, when that may be known
    started: float  # seconds since 1970


class Daemon(NamedTuple):
    client: Docker
    answer: Answer
    info: Info
    process: Process | None
    manager: service.Manager
    flags: tuple[flags.Flag, ...]
    config: str  # path of daemon.json
    explicit: bool  # it was told of that file, which then has to be there
    rootless: bool

    @property
    def running(self) -> bool:
        return self.answer.problem is None

    @property
    def major(self) -> int:
        number = self.answer.version.partition(".")[0]
        return int(number) if number.isdecimal() else 0


class Place(NamedTuple):
    machine: Root
    processes: Root
    uid: int
    config_home: str  # the caller's ~/.config


def ask(client: Docker, run: proc.Runner) -> tuple[Answer, Info]:
    result = run(proc.Command(client.question, timeout=SECONDS))
    answer = client.understand(result)
    if answer.problem is not None:
        return answer, Info()
    return answer, msgspec.json.decode(result.out, type=Info)


def find(client: Docker, run: proc.Runner, place: Place, wanted: str | None) -> Daemon:
    """`wanted`: the file that the user names. Raises RefusedError for a docker that is not this user's."""
    if client.endpoint.socket is None:
        raise _elsewhere(client)
    answer, info = ask(client, run)
    if answer.remote:
        raise _elsewhere(client)
    process = _process(place, client.endpoint.socket)
    if process and process.uid != place.uid:
        who = "root" if process.uid == 0 else f"the user with number {process.uid}"
        mend = "run it with sudo" if process.uid == 0 else "run it as that user, without sudo"
        raise RefusedError(f"This docker belongs to {who}.", why=f"dockerd is process {process.pid}", mend=mend)
    rootless = place.uid != 0
    pid = process.pid if process else None
    manager = service.manager(place.machine, place.processes, pid, "docker", PID_FILE)
    if rootless and manager.unit:
        manager = manager._replace(user=True)
    found = service.docker_flags(place.machine, manager)
    if process:
        found += flags.of_words(process.arguments[1:], f"the command line of process {process.pid}")
    given = flags.given(found, "config-file")
    if wanted and given and wanted != given.value:
        raise UsageError(
            f"This docker does not read {quote(wanted)}.",
            why=f"{given.source} says {flags.in_words(given)}",
            mend="leave --config-file out",
        )
    config = wanted or (given.value if given else _usual(place, process, client))
    return Daemon(client, answer, info, process, manager, found, config, given is not None, rootless)


def _usual(place: Place, process: Process | None, client: Docker) -> str:
    if place.uid != 0:
        return os.path.join(place.config_home, "docker/daemon.json")
    program = (process and process.program) or place.machine.resolve(client.program) or client.program
    return SNAP_JSON if "/snap/" in program else DAEMON_JSON


def _elsewhere(client: Docker) -> RefusedError:
    return RefusedError(
        f"The docker at {quote(client.endpoint.address)} is on another machine, or in a virtual one.",
        why="its configuration is there",
        mend="run gpudock there, or choose the docker of this machine: docker context use default",
    )


def _process(place: Place, path: str) -> Process | None:
    """Who listens at the socket; systemd may have opened it, then the pid file tells."""
    home = "/run" if place.uid == 0 else f"/run/user/{place.uid}"
    noted = (place.machine.text(f"{home}/docker.pid", 32) or "").strip()
    usual = path in {"/var/run/docker.sock", "/run/docker.sock", f"{home}/docker.sock"}
    candidates = [_listener(place.machine.host(path)), int(noted) if usual and noted.isdecimal() else None]
    for pid in candidates:
        arguments = tuple((place.processes.text(f"/{pid}/cmdline") or "").rstrip("\0").split("\0")) if pid else ()
        if pid and os.path.basename(arguments[0]) == "dockerd":
            return _known(place.processes, pid, arguments)
    return None


def _listener(path: str) -> int | None:
    with socket.socket(socket.AF_UNIX) as found:
        found.settimeout(SECONDS)
        try:
            found.connect(path)
        except OSError:
            return None
        pid, _, _ = struct.unpack("iII", found.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(pid)


def _known(processes: Root, pid: int, arguments: tuple[str, ...]) -> Process:
    info = processes.stat(f"/{pid}")
    variables = dict(
        word.partition("=")[::2] for word in (processes.text(f"/{pid}/environ") or "").split("\0") if "=" in word
    )
    program = processes.readlink(f"/{pid}/exe")  # "... (deleted)" after an upgrade of its package
    return Process(
        pid,
        info.st_uid if info else 0,
        arguments,
        variables.get("PATH", PATHS),
        program if program and not program.endswith(" (deleted)") else None,
        _started(processes, pid),
    )


def _started(processes: Root, pid: int) -> float:
    words = (processes.text(f"/{pid}/stat") or "").rpartition(")")[2].split()
    uptime = (processes.text("/uptime") or "0").split()[0]  # btime of /proc/stat has whole seconds only
    return time.time() - float(uptime) + int(words[19]) / os.sysconf("SC_CLK_TCK") if len(words) > 19 else 0.0
