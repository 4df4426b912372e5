"""The machine that a plan is for: what is known of its operating system, and of this very one when it is here. Pure."""

from collections.abc import Mapping
from typing import NamedTuple

from gpudock.errors import RefusedError, UsageError
from gpudock.facts.base import Missing
from gpudock.facts.snapshot import Snapshot
from gpudock.plan.quote import quote
from gpudock.provision.install import architecture


class System(NamedTuple):
    """A distribution that plans exist for."""

    name: str  # as --os has it
    id: str
    version: str
    codename: str
    docker: tuple[str, ...]  # the distribution's packages
    nvidia: str  # folder of NVIDIA's repository
    key: str  # file of NVIDIA's key there
    fingerprint: str
    python: tuple[str, ...]  # packages of a Python that gpudock runs on
    interpreter: str


_KEY_2022 = ("3bf863cc.pub", "EB693B3035CD5710E231E123A4B469963BF863CC")
_KEY_2025 = ("8793F200.pub", "02182E60104FCDC26EAE1B8597A5D4CB8793F200")
_VENV = ("python3", "python3-venv")
SYSTEMS = {
    each.name: each
    for each in (
        System("ubuntu-24.04", "ubuntu", "24.04", "noble", ("docker.io",), "ubuntu2404", *_KEY_2022, _VENV, "python3"),
        System(
            *("ubuntu-22.04", "ubuntu", "22.04", "jammy", ("docker.io",), "ubuntu2204", *_KEY_2022),
            *(("python3.11", "python3.11-venv"), "python3.11"),
        ),
        System("debian-12", "debian", "12", "bookworm", ("docker.io",), "debian12", *_KEY_2022, _VENV, "python3"),
        System(
            *("debian-13", "debian", "13", "trixie", ("docker.io", "docker-cli"), "debian13", *_KEY_2025),
            *(_VENV, "python3"),
        ),
    )
}
WSL = "wsl2"
WSL_SYSTEM = SYSTEMS["ubuntu-24.04"]  # what `wsl --install` gives
NAMES = (*SYSTEMS, WSL)
LATER = "the steps as text: docs/install.md#other-systems"


class Target(NamedTuple):
    system: System
    wsl: bool = False
    here: bool = False  # this machine, now; else any such machine
    gpus: tuple[str, ...] | None = None  # generations of the GPUs, None where not known
    packages: Mapping[str, str] | None = None  # installed, of those that matter; None where not known
    sources: tuple[str, ...] = ()  # lines of its package sources
    architecture: str = "x86_64"


def named(name: str) -> Target:
    """Raises UsageError for a system that has no plan yet, and says where its steps are."""
    if name == WSL:
        return Target(WSL_SYSTEM, wsl=True)
    if name not in SYSTEMS:
        why = f"plans exist for {', '.join(NAMES)}"
        raise UsageError(f"There is no plan for {quote(name)} yet.", why=why, mend=LATER)
    return Target(SYSTEMS[name])


def of(snapshot: Snapshot, *, here: bool = True) -> Target:
    """The machine of a snapshot. Raises RefusedError for a system that has no plan yet."""
    os_id, version = snapshot.system.os_id, snapshot.system.os_version
    system = next((each for each in SYSTEMS.values() if (each.id, each.version) == (os_id, version)), None)
    if system is None:
        name = snapshot.system.os_name
        told = "this system (no os-release)" if isinstance(name, Missing) else quote(name)
        why = f"plans exist for {', '.join(NAMES)}"
        raise RefusedError(f"There is no plan for {told} yet.", why=why, mend=LATER)
    packages = None
    if not isinstance(snapshot.packages, Missing):
        packages = {each.name.partition(":")[0]: each.version for each in snapshot.packages}
    return Target(
        system,
        wsl=snapshot.system.wsl,
        here=here,
        gpus=architecture.of_machine(snapshot),
        packages=packages,
        sources=tuple(each.line for each in snapshot.package_sources),
        architecture=snapshot.system.architecture,
    )
