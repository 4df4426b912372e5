"""Docker: one `docker info`, and the daemon.json that the daemon really reads."""

import os
from urllib.parse import urlsplit

import msgspec

from gpudock.facts.base import Missing
from gpudock.facts.engine import Engine
from gpudock.host.package_sources import CREDENTIALS
from gpudock.host.plain import one_line
from gpudock.host.surroundings import Surroundings
from gpudock.proc import NOT_FOUND, TIMED_OUT, Command, Result, Runner

SECONDS = 5.0
DAEMON_JSON = "/etc/docker/daemon.json"
SNAP_JSON = "/var/snap/docker/current/config/daemon.json"
_JSON = ("--format", "{{json .}}")  # docker 20.10 takes --format json literally
_DESKTOP = "Docker Desktop"


class _Plugin(msgspec.Struct, rename="pascal"):
    name: str = ""
    version: str = ""


class _Client(msgspec.Struct, rename="pascal"):
    context: str = "default"
    plugins: list[_Plugin] | None = None


class _Commit(msgspec.Struct):
    id: str = msgspec.field(default="", name="ID")


class _Registries(msgspec.Struct, rename="pascal"):
    mirrors: list[str] | None = None


class _Info(msgspec.Struct, rename="pascal"):
    server_version: str = ""
    server_errors: list[str] | None = None
    runtimes: dict[str, msgspec.Raw] | None = None
    default_runtime: str = ""
    cgroup_driver: str = ""
    security_options: list[str] | None = None
    operating_system: str = ""
    os_type: str = msgspec.field(default="", name="OSType")
    kernel_version: str = ""
    cdi_folders: list[str] | None = msgspec.field(default=None, name="CDISpecDirs")  # [] when CDI is switched off
    client_info: _Client = msgspec.field(default_factory=_Client)
    docker_root_dir: str = ""
    driver: str = ""  # of its storage
    http_proxy: str = ""
    https_proxy: str = ""
    registry_config: _Registries | None = None
    runc_commit: _Commit = msgspec.field(default_factory=_Commit)
    host: dict[str, msgspec.Raw] | None = msgspec.field(
        default=None, name="host"
    )  # podman's info has it, docker's never


def read(run: Runner, around: Surroundings, program: str) -> Engine | None:
    """None when the docker command is podman's emulation: then there is no docker."""
    result = run(Command((program, "info", *_JSON), timeout=SECONDS))
    try:
        info = msgspec.json.decode(result.out, type=_Info)
    except (msgspec.DecodeError, RecursionError):
        info = _Info()
    if info.host is not None:
        return None
    context = info.client_info.context or "default"
    remote = _remote(_endpoint(run, around, program, context)) or info.operating_system == _DESKTOP
    problem = _problem(result, info)
    silent = Missing("docker does not answer")  # `problem` says why
    options = info.security_options or []
    rootless = "name=rootless" in options
    path = None if remote else _daemon_json(around, program, rootless=rootless)
    return Engine(
        name="docker",
        program=program,
        version=one_line(info.server_version) or silent,
        rootless=silent if problem else rootless,
        cdi=silent if problem else bool(info.cdi_folders),
        cdi_folders=tuple(map(one_line, info.cdi_folders or ())),
        runtimes=tuple(sorted(map(one_line, info.runtimes or ()))),
        default_runtime=one_line(info.default_runtime) or None,
        cgroup_driver=one_line(info.cgroup_driver) or silent,
        context=None if context == "default" else one_line(context),
        remote=remote,
        config_path=path,
        config_error=config_error(around, path) if path else None,
        problem=problem,
        data_root=one_line(info.docker_root_dir) or None,
        storage_driver=one_line(info.driver) or None,
        userns="name=userns" in options,
        desktop=info.operating_system == _DESKTOP,
        containers=one_line(info.os_type) or None,
        kernel=one_line(info.kernel_version) or None,
        mirrors=tuple(one_line(CREDENTIALS.sub("", each)) for each in _mirrors(info)),
        proxies=bool(info.http_proxy or info.https_proxy),
        compose=_compose(info),
        oci=one_line(info.runc_commit.id) or None,
    )


def _mirrors(info: _Info) -> list[str]:
    return (info.registry_config.mirrors if info.registry_config else None) or []


def _compose(info: _Info) -> str | None:
    found = (plugin.version for plugin in info.client_info.plugins or () if plugin.name == "compose")
    return one_line(next(found, "")).removeprefix("v") or None


def _problem(result: Result, info: _Info) -> str | None:
    """In docker's words: its last line is the reason, what is before it are warnings."""
    if result.code == TIMED_OUT:
        return f"docker info gave no answer within {SECONDS:g} s"
    if result.code == NOT_FOUND:
        return one_line(result.err) or "docker cannot be started"
    if info.server_errors:
        return one_line(info.server_errors[0])
    if result.ok and info.server_version:
        return None
    lines = [line for line in result.err.splitlines() if line.strip()]
    return one_line(lines[-1]) if lines else f"docker info failed with exit code {result.code}"


def _endpoint(run: Runner, around: Surroundings, program: str, context: str) -> str:
    """The address that the client talks to, "" for the default."""
    if around.environment.get("DOCKER_HOST"):
        return around.environment["DOCKER_HOST"]
    if context == "default":
        return ""
    form = "{{.Endpoints.docker.Host}}"
    return run(Command((program, "context", "inspect", context, "--format", form), timeout=SECONDS)).out.strip()


def _remote(endpoint: str) -> bool:
    try:
        address = urlsplit(endpoint)
    except ValueError:
        return False
    return address.scheme == "ssh" or (
        address.scheme in {"tcp", "http", "https"} and address.hostname not in {None, "localhost", "127.0.0.1", "::1"}
    )


def _daemon_json(around: Surroundings, program: str, *, rootless: bool) -> str:
    """Where this daemon reads its configuration; the file need not exist."""
    runtime = around.environment.get("XDG_RUNTIME_DIR", "") if rootless else "/run"
    given = _flag(around, f"{runtime}/docker.pid", "--config-file")
    if given:
        return given
    if rootless:
        return os.path.join(around.config_home(), "docker/daemon.json")
    snap = "/snap/" in program or "/snap/" in (around.machine.resolve(program) or "")
    return SNAP_JSON if snap else DAEMON_JSON


def _flag(around: Surroundings, pid_file: str, flag: str) -> str | None:
    """The value that the running daemon was given for `flag`."""
    pid = (around.machine.text(pid_file, 32) or "").strip()
    arguments = (around.proc.text(f"/{pid}/cmdline") or "").split("\0") if pid.isdecimal() else []
    if "dockerd" not in os.path.basename(arguments[0] if arguments else ""):
        return None
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        name, equals, value = argument.partition("=")
        if name == flag:
            return (value if equals else following) or None
    return None


def config_error(around: Surroundings, path: str) -> str | None:
    """Why the daemon would refuse this file; None when it is fine or not there."""
    try:
        data = around.machine.read(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    try:
        msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, RecursionError) as error:
        return one_line(str(error)) if data.strip() else "it is empty: docker wants at least {}"
    return None
