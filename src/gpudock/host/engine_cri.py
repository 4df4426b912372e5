"""containerd and CRI-O: engines that Kubernetes uses. Each prints the configuration that is in force as TOML."""

import re
import tomllib
from typing import Any

from gpudock.facts.base import Missing
from gpudock.facts.engine import Engine
from gpudock.host import cdi_specs
from gpudock.host.plain import one_line
from gpudock.host.surroundings import Surroundings
from gpudock.proc import TIMED_OUT, Command, Runner

SECONDS = 5.0
CONTAINERD_SOCKET, CONTAINERD_CONFIG = "/run/containerd/containerd.sock", "/etc/containerd/config.toml"
CRI_PLUGINS = ("io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri")  # of containerd 2, of 1
CRIO_SOCKET, CRIO_CONFIG = "/run/crio/crio.sock", "/etc/crio/crio.conf"
CRIO_FIRST_CDI = (1, 23)


def containerd(run: Runner, around: Surroundings, program: str) -> Engine:
    version = _version(run, program)
    settings, error = _settings(run, (program, "config", "dump"))
    plugins = _table(settings, "plugins")
    cri = next((table for name in CRI_PLUGINS if (table := _table(plugins, name)).get("containerd")), {})
    part = _table(cri, "containerd")
    runtimes = _table(part, "runtimes")
    default = str(part.get("default_runtime_name", ""))
    systemd = _table(_table(runtimes, default), "options").get("SystemdCgroup")
    return Engine(
        name="containerd",
        program=program,
        version=version,
        rootless=False,
        cdi=Missing(error) if error else cri.get("enable_cdi") is True,
        cdi_folders=_texts(cri.get("cdi_spec_dirs")),
        runtimes=tuple(sorted(map(one_line, runtimes))),
        default_runtime=one_line(default) or None,
        cgroup_driver=("systemd" if systemd else "cgroupfs") if runtimes else Missing(error or "it has no runtimes"),
        config_path=CONTAINERD_CONFIG,
        config_error=error,
        problem=_running(around, CONTAINERD_SOCKET),
    )


def crio(run: Runner, around: Surroundings, program: str) -> Engine:
    version = _version(run, program)
    settings, error = _settings(run, (program, "config"))
    part = _table(_table(settings, "crio"), "runtime")
    numbers = () if isinstance(version, Missing) else tuple(int(n) for n in re.findall(r"\d+", version)[:2])
    return Engine(
        name="crio",
        program=program,
        version=version,
        rootless=False,
        cdi=version if isinstance(version, Missing) else numbers >= CRIO_FIRST_CDI,
        cdi_folders=_texts(part.get("cdi_spec_dirs")) or cdi_specs.FOLDERS,
        runtimes=tuple(sorted(map(one_line, _table(part, "runtimes")))),
        default_runtime=one_line(str(part.get("default_runtime", ""))) or None,
        cgroup_driver=Missing(error) if error else one_line(str(part.get("cgroup_manager", "systemd"))),
        config_path=CRIO_CONFIG,
        config_error=error,
        problem=_running(around, CRIO_SOCKET),
    )


def _version(run: Runner, program: str) -> str | Missing:
    """The first word that looks like one, as in "crio version 1.30.0"; containerd puts its module's name before it."""
    result = run(Command((program, "--version"), timeout=SECONDS))
    match = re.search(r"(?:^|\s)v?(\d+\.\d+\S*)", result.out)
    return one_line(match[1]) if match else Missing(one_line(result.err) or "it does not tell its version")


def _settings(run: Runner, argv: tuple[str, ...]) -> tuple[dict[str, Any], str | None]:
    result = run(Command(argv, timeout=SECONDS))
    if result.code == TIMED_OUT:
        return {}, f"{argv[0]} gave no answer within {SECONDS:g} s"
    if not result.ok:
        lines = [line for line in result.err.splitlines() if line.strip()]
        return {}, one_line(lines[-1]) if lines else f"exit code {result.code}"
    try:
        return tomllib.loads(result.out), None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        return {}, one_line(f"its configuration cannot be read: {error}")


def _table(value: dict[str, Any], name: str) -> dict[str, Any]:
    part = value.get(name)
    return part if isinstance(part, dict) else {}


def _texts(value: object) -> tuple[str, ...]:
    return tuple(one_line(item) for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _running(around: Surroundings, socket: str) -> str | None:
    return None if around.machine.stat(socket) else f"it is not running: {socket} is not there"
