"""All of facts.setup, from the machine that a snapshot was taken of."""

import os
from typing import NamedTuple

import msgspec

from gpudock.facts.base import Missing
from gpudock.facts.driver import DriverFiles
from gpudock.facts.engine import Engine
from gpudock.facts.setup import Setup
from gpudock.facts.snapshot import Snapshot
from gpudock.host.later import Later
from gpudock.host.root import Root
from gpudock.host.setup import disks, docker, kernel, programs, specs, users
from gpudock.host.surroundings import Surroundings
from gpudock.proc import Runner

GPU_KIND = "nvidia.com/gpu"
STATE = "/var/lib/gpudock"
DOCKER_ROOT = "/var/lib/docker"


class Folders(NamedTuple):
    machine: Root
    proc: Root
    sys: Root


def with_setup(snapshot: Snapshot, where: Folders, around: Surroundings, run: Runner) -> Snapshot:
    """The same with how the machine is set up; engines are known already."""
    engines = snapshot.engines if isinstance(snapshot.engines, tuple) else ()
    local = [engine for engine in engines if not engine.remote]
    asked = Later(lambda: docker.mirrors(each for engine in local for each in engine.mirrors))
    found = programs.found(where.machine, run)
    running = kernel.services(where.proc)
    caller = users.caller(around)
    used = [each.config_path for each in local if each.name == "docker" and each.config_path]
    configured = docker.files(around, used)
    remapped = [name for each in configured if (name := _remapped(each.userns_remap))]
    setup = Setup(
        secure_boot=kernel.secure_boot(where.sys),
        module_built=kernel.module_built(where.machine, snapshot.system.kernel),
        systemd=kernel.systemd(where.machine, snapshot.system.init),
        seccomp=kernel.seccomp(where.proc),
        selinux_devices=kernel.selinux_devices(where.sys),
        ldconfig=programs.ldconfig(run),
        cached=programs.cached(where.machine),
        libraries_32_bit=_has_32_bit(snapshot.driver),
        char_links_missing=_char_links(snapshot),
        services=running,
        xids=kernel.xids(),
        caller=caller,
        docker_group=users.docker_group(where.machine),
        subids=users.subids(where.machine, [*remapped, *([caller.name] if caller.uid else [])]),
        daemon_jsons=configured,
        dockerd=docker.daemon(where.proc),
        contexts=docker.contexts(around),
        snap_docker=docker.is_snap(where.machine),
        disks=disks.of(where.machine, where.proc, _roots(local)),
        programs=found,
        toolkit=programs.toolkit(where.machine, snapshot.system.architecture),
        specs=tuple(state for spec in snapshot.cdi_specs if (state := specs.state(where.machine, spec.path, GPU_KIND))),
        clock=disks.clock(where.machine, running),
        compose_v1=docker.compose_v1(around.environment, where.machine),
        mirrors=asked.result(),
    )
    return msgspec.structs.replace(snapshot, setup=setup)


def _remapped(value: str | None) -> str | None:
    """The user of "default", "USER" and "USER:GROUP"."""
    name = (value or "").partition(":")[0]
    return None if name in {"", "default"} or name.isdecimal() else name


def _has_32_bit(driver: DriverFiles | Missing) -> bool:
    files = driver.files if isinstance(driver, DriverFiles) else ()
    return any(file.elf is not None and file.elf.bits == 32 for file in files)


def _char_links(snapshot: Snapshot) -> tuple[str, ...]:
    """systemd turns a rule for "/dev/nvidia0" into numbers by /dev/char; older runc goes by these links."""
    if snapshot.roots.simulated or snapshot.system.wsl:
        return ()
    names = (f"/dev/char/{node.major}:{node.minor}" for node in snapshot.nodes if node.path.startswith("/dev/nvidia"))
    return tuple(name for name in dict.fromkeys(names) if not os.path.lexists(name))


def _roots(engines: list[Engine]) -> dict[str, str]:
    return {
        **{engine.name: engine.data_root for engine in engines if engine.data_root},
        "gpudock": STATE,
    }
