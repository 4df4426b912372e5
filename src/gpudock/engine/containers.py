"""Containers as values: what docker's and podman's `inspect` tell, in one shape."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from gpudock.engine.base import Client
from gpudock.errors import EngineError
from gpudock.plan.quote import quote
from gpudock.proc import Command, Result, Runner

_GONE = ("no such container", "no such object", "no container with name or id")


class Mount(NamedTuple):
    kind: str  # "bind", "volume", "tmpfs"
    source: str  # path on the host
    target: str
    writable: bool
    name: str = ""  # of a volume


class Port(NamedTuple):
    inside: int
    protocol: str  # "tcp"
    address: str  # "127.0.0.1", "" for every address
    outside: int


class Limits(NamedTuple):
    """Bytes and counts; 0: not limited. memory_swap is docker's: memory and swap together, -1: swap without limit."""

    memory: int = 0
    memory_swap: int = 0
    cpus: float = 0.0
    cpuset: str = ""
    shm: int = 0
    pids: int = 0


class Container(NamedTuple):
    """One container, running or not. Everything in it may come from a hostile user of the same engine."""

    id: str  # 64 hexadecimal digits
    name: str
    image: str  # as it was named when the container was made
    image_id: str  # without "sha256:"
    state: str  # "created", "running", "paused", "restarting", "exited", "dead"
    pid: int  # of its first process, in the engine's pid namespace; 0 when it does not run
    exit_code: int
    created: str  # ISO 8601
    started: str
    labels: dict[str, str]
    environment: dict[str, str]
    runtime: str  # name of the OCI runtime, as the engine knows it
    devices: tuple[str, ...]  # paths on the host, and CDI names
    gpu_request: bool  # docker's --gpus
    privileged: bool
    network: str  # "bridge", "host", "none", "container:ID" ...
    pid_mode: str  # "host", "", ...
    mounts: tuple[Mount, ...]
    ports: tuple[Port, ...]
    limits: Limits

    @property
    def running(self) -> bool:
        return self.state in {"running", "paused", "restarting"}


def listed(
    client: Client, run: Runner, *, stopped: bool = False, filters: Sequence[str] = (), timeout: float = 20.0
) -> tuple[Container, ...]:
    """The containers that this user of the engine may see, the newest first. A filter is docker's: "label=gpudock.env".

    Those that go away meanwhile are left out. Raises EngineError.
    """
    words = ("ps", "--no-trunc", "--quiet", *(("--all",) if stopped else ()))
    chosen = tuple(word for each in filters for word in ("--filter", each))
    names = run(Command((*client.words, *words, *chosen), timeout=timeout))
    if not names.ok:
        raise _unknown(client, names)
    ids = names.out.split()
    return inspected(client, ids, run, timeout=timeout) if ids else ()


def inspected(client: Client, ids: Sequence[str], run: Runner, *, timeout: float = 20.0) -> tuple[Container, ...]:
    """These containers, by id or name, less those that are not there. Raises EngineError."""
    told = run(Command((*client.words, "container", "inspect", "--", *ids), timeout=timeout))
    if not told.ok and not (told.out.strip() and _only_gone(told.err)):
        if _only_gone(told.err):
            return ()
        raise _unknown(client, told)
    try:
        return tuple(_container(each) for each in msgspec.json.decode(told.out, type=list[_Told]))
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError) as error:
        raise EngineError(
            f"{client.name}'s answer about its containers cannot be understood.", why=quote(str(error), 300)
        ) from error


def _only_gone(said: str) -> bool:
    lines = [line.lower() for line in said.splitlines() if line.strip()]
    return bool(lines) and all(any(word in line for word in _GONE) for line in lines)


def _unknown(client: Client, answer: Result) -> EngineError:
    lines = [line for line in answer.err.splitlines() if line.strip()] or [f"exit code {answer.code}"]
    mend = "see what this says: " + " ".join((*client.words, "ps", "--all"))
    return EngineError(f"{client.name} does not list its containers.", why=quote(lines[-1], 300), mend=mend)


# What the engines tell, as far as it is read here. Go writes null for an empty list or map.


class _Part(msgspec.Struct, rename="pascal"):
    pass


class _State(_Part):
    status: str = ""
    pid: int = 0
    exit_code: int = 0
    started_at: Any = ""


class _Config(_Part):
    image: str = ""
    env: list[str] | None = None
    labels: dict[str, str] | None = None


class _Device(_Part):
    path_on_host: str = ""


class _Asked(_Part):
    driver: str = ""
    device_ids: list[str] | None = msgspec.field(default=None, name="DeviceIDs")


class _Binding(_Part):
    host_ip: str = msgspec.field(default="", name="HostIp")
    host_port: str = ""


class _Host(_Part):
    runtime: str = ""
    privileged: bool = False
    network_mode: str = ""
    pid_mode: str = ""
    devices: list[_Device] | None = None
    device_requests: list[_Asked] | None = None
    memory: int = 0
    memory_swap: int = 0
    nano_cpus: int = 0
    cpu_quota: int = 0
    cpu_period: int = 0
    cpuset_cpus: str = ""
    shm_size: int = 0
    pids_limit: int | None = None


class _Mount(_Part):
    type: str = ""
    name: str = ""
    source: str = ""
    destination: str = ""
    rw: bool = msgspec.field(default=False, name="RW")


class _Network(_Part):
    ports: dict[str, list[_Binding] | None] | None = None


class _Told(_Part):
    id: str
    name: str
    image: str = ""
    image_name: str = ""  # podman's
    o_c_i_runtime: str = msgspec.field(default="", name="OCIRuntime")  # podman's
    created: Any = ""
    state: _State = msgspec.field(default_factory=_State)
    config: _Config = msgspec.field(default_factory=_Config)
    host_config: _Host = msgspec.field(default_factory=_Host)
    mounts: list[_Mount] | None = None
    network_settings: _Network = msgspec.field(default_factory=_Network)


def _container(told: _Told) -> Container:
    host = told.host_config
    asked = host.device_requests or []
    return Container(
        id=told.id,
        name=told.name.removeprefix("/"),
        image=told.image_name or told.config.image,
        image_id=told.image.removeprefix("sha256:"),
        state={"stopped": "exited", "configured": "created"}.get(told.state.status, told.state.status),
        pid=told.state.pid,
        exit_code=told.state.exit_code,
        created=str(told.created),
        started=str(told.state.started_at),
        labels=told.config.labels or {},
        environment={name: value for name, _, value in (entry.partition("=") for entry in told.config.env or [])},
        runtime=told.o_c_i_runtime or host.runtime,
        devices=(
            *(each.path_on_host for each in host.devices or []),
            *(name for each in asked if each.driver == "cdi" for name in each.device_ids or []),
        ),
        gpu_request=any(each.driver != "cdi" for each in asked),
        privileged=host.privileged,
        network=host.network_mode,
        pid_mode=host.pid_mode,
        mounts=tuple(Mount(each.type, each.source, each.destination, each.rw, each.name) for each in told.mounts or []),
        ports=tuple(_ports(told.network_settings.ports or {})),
        limits=_limits(host),
    )


def _ports(told: dict[str, list[_Binding] | None]) -> list[Port]:
    found = []
    for name, bindings in told.items():
        inside, _, protocol = name.partition("/")
        for each in bindings or []:
            if inside.isdecimal() and each.host_port.isdecimal():
                address = "" if each.host_ip in {"0.0.0.0", "::"} else each.host_ip  # noqa: S104  what docker says
                found.append(Port(int(inside), protocol or "tcp", address, int(each.host_port)))
    return sorted(set(found))


def _limits(host: _Host) -> Limits:
    cpus = host.nano_cpus / 1e9
    if not cpus and host.cpu_quota > 0:
        cpus = host.cpu_quota / (host.cpu_period or 100_000)
    return Limits(host.memory, host.memory_swap, cpus, host.cpuset_cpus, host.shm_size, max(host.pids_limit or 0, 0))
