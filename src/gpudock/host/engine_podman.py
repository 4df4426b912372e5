"""Podman: one `podman info`, and its configuration files for what that leaves out."""

import os
import re
import tomllib
from typing import Any

import msgspec

from gpudock.facts.base import Missing
from gpudock.facts.engine import Engine
from gpudock.host import cdi_specs
from gpudock.host.plain import one_line
from gpudock.host.surroundings import Surroundings
from gpudock.proc import TIMED_OUT, Command, Result, Runner

SECONDS = 10.0  # it may wait for its storage
FIRST_CDI = (4, 1)
CONFIGS = ("/usr/share/containers/containers.conf", "/etc/containers/containers.conf")


class _Runtime(msgspec.Struct):
    name: str = ""
    version: str = ""


class _Security(msgspec.Struct):
    rootless: bool = False


class _Host(msgspec.Struct):
    cgroup_manager: str = msgspec.field(default="", name="cgroupManager")
    remote: bool = msgspec.field(default=False, name="serviceIsRemote")
    runtime: _Runtime = msgspec.field(default_factory=_Runtime, name="ociRuntime")
    security: _Security = msgspec.field(default_factory=_Security)


class _Version(msgspec.Struct):
    version: str = msgspec.field(default="", name="Version")


class _Store(msgspec.Struct):
    driver: str = msgspec.field(default="", name="graphDriverName")
    root: str = msgspec.field(default="", name="graphRoot")


class _Info(msgspec.Struct):
    host: _Host
    store: _Store = msgspec.field(default_factory=_Store)
    version: _Version = msgspec.field(default_factory=_Version)


class _Engine(msgspec.Struct):
    """The part of containers.conf that matters here."""

    runtimes: dict[str, Any] = {}
    cdi_spec_dirs: list[Any] = []  # newer files may end a list with {append=true}


class _Config(msgspec.Struct):
    engine: _Engine = msgspec.field(default_factory=_Engine)


def read(run: Runner, around: Surroundings, program: str) -> Engine:
    result = run(Command((program, "info", "--format", "json"), timeout=SECONDS))
    configs = _config_files(around)
    config, errors = _config(around, configs)
    path = next((file for file in reversed(configs) if around.machine.stat(file)), configs[-1])
    try:
        info = msgspec.json.decode(result.out, type=_Info)
    except (msgspec.DecodeError, RecursionError):
        problem = _problem(result)
        return Engine(
            name="podman",
            program=program,
            version=_client_version(run, program) or Missing(problem),
            rootless=around.rootless,
            config_path=path,
            config_error=errors,
            problem=problem,
        )
    version = one_line(info.version.version)
    return Engine(
        name="podman",
        program=program,
        version=version or Missing("podman does not tell"),
        rootless=info.host.security.rootless,
        cdi=_knows_cdi(version) if version else Missing("podman does not tell its version"),
        cdi_folders=_texts(config.cdi_spec_dirs) or cdi_specs.FOLDERS,
        runtimes=tuple(sorted({one_line(name) for name in (*config.runtimes, info.host.runtime.name) if name})),
        default_runtime=one_line(info.host.runtime.name) or None,
        cgroup_driver=one_line(info.host.cgroup_manager) or Missing("podman does not tell"),
        remote=info.host.remote,
        config_path=path,
        config_error=errors,
        data_root=one_line(info.store.root) or None,
        storage_driver=one_line(info.store.driver) or None,
        oci=one_line(info.host.runtime.version.partition("\n")[0]).replace(" version ", " ") or None,
    )


def _knows_cdi(version: str) -> bool:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2]) >= FIRST_CDI


def _problem(result: Result) -> str:
    if result.code == TIMED_OUT:
        return f"podman info gave no answer within {SECONDS:g} s"
    lines = [line for line in result.err.splitlines() if line.strip()]
    return one_line(lines[-1]) if lines else f"podman info failed with exit code {result.code}"


def _client_version(run: Runner, program: str) -> str:
    words = run(Command((program, "--version"), timeout=SECONDS)).out.split()
    return one_line(words[-1]) if words else ""


def _config_files(around: Surroundings) -> list[str]:
    """In the order in which podman reads them: later ones win."""
    only = around.environment.get("CONTAINERS_CONF")
    if only:
        return [only]
    bases = [*CONFIGS]
    if around.rootless:
        bases.append(os.path.join(around.config_home(), "containers/containers.conf"))
    found = []
    for base in bases:
        parts = [name for name in around.machine.names(base + ".d") if name.endswith(".conf")]
        found += [base, *(f"{base}.d/{name}" for name in parts)]
    return found


def _config(around: Surroundings, files: list[str]) -> tuple[_Engine, str | None]:
    """The merged settings, and what is wrong with the first broken file."""
    merged, wrong = _Engine(), None
    for file in files:
        text = around.machine.text(file)
        try:
            part = msgspec.convert(tomllib.loads(text), _Config).engine if text else _Engine()
        except (tomllib.TOMLDecodeError, msgspec.ValidationError, RecursionError) as error:
            wrong = wrong or one_line(f"{file}: {error}")
            continue
        merged = _Engine({**merged.runtimes, **part.runtimes}, part.cdi_spec_dirs or merged.cdi_spec_dirs)
    return merged, wrong


def _texts(values: list[Any]) -> tuple[str, ...]:
    return tuple(one_line(value) for value in values if isinstance(value, str))
