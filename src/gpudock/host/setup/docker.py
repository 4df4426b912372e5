"""What docker is told: its configuration files, the running daemon, contexts, and whether registry mirrors answer."""

import os
import shutil
import socket
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import msgspec

from gpudock.facts.setup import Context, DaemonJson, Dockerd, Mirror
from gpudock.host.engine_docker import DAEMON_JSON, SNAP_JSON, config_error
from gpudock.host.later import Later
from gpudock.host.package_sources import CREDENTIALS
from gpudock.host.plain import one_line
from gpudock.host.root import Root
from gpudock.host.surroundings import Surroundings

SECONDS = 1.0  # for a mirror
CONTEXTS = 64
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy")


class _Runtime(msgspec.Struct):
    path: str = ""


class _File(msgspec.Struct, rename="kebab"):
    runtimes: dict[str, _Runtime] = {}
    default_runtime: str | None = None
    userns_remap: str | None = None
    exec_opts: list[str] = []
    features: dict[str, Any] = {}


class _Endpoint(msgspec.Struct):
    host: str = msgspec.field(default="", name="Host")


class _Meta(msgspec.Struct, rename="pascal"):
    name: str = ""
    endpoints: dict[str, _Endpoint] = {}


class _Config(msgspec.Struct, rename="camel"):
    current_context: str = ""


def files(around: Surroundings, used: Iterable[str]) -> tuple[DaemonJson, ...]:
    """The usual ones and those in use, as far as they are there."""
    usual = (DAEMON_JSON, SNAP_JSON, os.path.join(around.config_home(), "docker/daemon.json"))
    paths = dict.fromkeys((*usual, *used))
    return tuple(_file(around, path) for path in paths if around.machine.stat(path))


def _file(around: Surroundings, path: str) -> DaemonJson:
    error = config_error(around, path)
    text = around.machine.text(path) or ""
    try:
        keys = tuple(map(one_line, msgspec.json.decode(text, type=dict[str, msgspec.Raw])))
        told = msgspec.json.decode(text, type=_File)
    except (msgspec.DecodeError, RecursionError) as wrong:
        return DaemonJson(path=one_line(path), error=error or one_line(str(wrong)))
    programs = {one_line(name): one_line(each.path) for name, each in told.runtimes.items()}
    driver = next((each.partition("=")[2] for each in told.exec_opts if each.startswith("native.cgroupdriver=")), "")
    cdi = told.features.get("cdi")
    return DaemonJson(
        path=one_line(path),
        error=error,
        keys=keys,
        runtimes=programs,
        missing_programs=tuple(
            name for name in programs.values() if name.startswith("/") and not around.machine.stat(name)
        ),
        default_runtime=one_line(told.default_runtime) if told.default_runtime else None,
        userns_remap=one_line(told.userns_remap) if told.userns_remap else None,
        cgroup_driver=one_line(driver) or None,
        cdi=cdi if isinstance(cdi, bool) else None,
    )


def daemon(proc: Root) -> Dockerd | None:
    """The oldest process called dockerd that is seen here."""
    pids = [pid for pid in proc.names("/") if pid.isdecimal() and (proc.text(f"/{pid}/comm", 32) or "") == "dockerd\n"]
    for pid in sorted(pids, key=int):
        began, words = _began(proc, pid), (proc.text(f"/{pid}/cmdline") or "").split("\0")
        if began is None:
            continue
        flags = (word.removeprefix("--").partition("=")[0] for word in words if word.startswith("--"))
        environment = proc.text(f"/{pid}/environ")
        names = {entry.partition("=")[0] for entry in (environment or "").split("\0")}
        return Dockerd(
            started=began,
            flags=tuple(sorted({one_line(flag) for flag in flags})),
            proxies=tuple(sorted(names & {*_PROXIES})),
        )
    return None


def _began(proc: Root, pid: str) -> int | None:
    """When a process began, in seconds since 1970."""
    fields = (proc.text(f"/{pid}/stat") or "").rpartition(")")[2].split()
    boot = next((line for line in (proc.text("/stat") or "").splitlines() if line.startswith("btime ")), "")
    if len(fields) < 20 or not fields[19].isdecimal() or not boot[6:].isdecimal():
        return None
    return int(boot[6:]) + int(fields[19]) // os.sysconf("SC_CLK_TCK")


def contexts(around: Surroundings) -> tuple[Context, ...]:
    """Those of the caller's docker client, with the one in force marked."""
    folder = around.environment.get("DOCKER_CONFIG") or os.path.join(around.environment.get("HOME", "/"), ".docker")
    current = around.environment.get("DOCKER_CONTEXT") or _current(around.machine, folder)
    if around.environment.get("DOCKER_HOST"):
        current = ""
    found = []
    for entry in around.machine.names(f"{folder}/contexts/meta")[:CONTEXTS]:
        try:
            meta = msgspec.json.decode(
                around.machine.read(f"{folder}/contexts/meta/{entry}/meta.json", 1 << 16), type=_Meta
            )
        except (OSError, msgspec.DecodeError, RecursionError):
            continue
        address = meta.endpoints["docker"].host if "docker" in meta.endpoints else ""
        name = one_line(meta.name)
        found.append(Context(name=name, address=one_line(CREDENTIALS.sub("", address)), current=name == current))
    return tuple(found)


def _current(machine: Root, folder: str) -> str:
    try:
        return msgspec.json.decode(machine.read(f"{folder}/config.json"), type=_Config).current_context
    except (OSError, msgspec.DecodeError, RecursionError):
        return ""


def is_snap(machine: Root) -> bool:
    return bool(machine.stat("/snap/docker/current") or machine.stat("/var/lib/snapd/snap/docker/current"))


def mirrors(addresses: Iterable[str]) -> tuple[Mirror, ...]:
    """Whether somebody listens there. The only look of the doctor's that needs a network."""
    asked = [(address, Later(partial(_unreachable, address))) for address in dict.fromkeys(addresses)]
    return tuple(Mirror(address=address, problem=each.result()) for address, each in asked)


def _unreachable(address: str) -> str | None:
    try:
        parts = urlsplit(address)
        port = parts.port or (80 if parts.scheme == "http" else 443)
    except ValueError:
        return "it is no address"
    if not parts.hostname:
        return "it is no address"
    resolved = Later(lambda: socket.create_connection((parts.hostname, port), timeout=SECONDS))
    try:
        resolved.result(2 * SECONDS).close()  # a name server may take longer than any time limit of a connection's
    except TimeoutError:
        return f"no answer within {SECONDS:g} s"
    except OSError as error:
        return one_line(error.strerror or str(error))
    return None


def compose_v1(environment: Mapping[str, str], machine: Root) -> str | None:
    """Version of the docker-compose in Python, whose program is a script; None where there is none."""
    path = shutil.which("docker-compose", path=environment.get("PATH", os.defpath))
    start = (machine.text(path, 256) or "") if path else ""
    if "python" not in start.partition("\n")[0]:
        return None
    for folder in ("/usr/lib/python3/dist-packages", "/usr/local/lib/python3/dist-packages"):
        for name in machine.names(folder):
            if name.startswith("docker_compose-") and (version := name.split("-")[1].removesuffix(".egg")):
                return one_line(version.removesuffix(".dist"))
    return "1"
