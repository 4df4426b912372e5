"""Questions that many checks ask of a snapshot. Pure."""

import re
from collections.abc import Iterator

from gpudock.facts.base import Missing
from gpudock.facts.container import ContainerFact
from gpudock.facts.driver import DriverFiles
from gpudock.facts.engine import Engine
from gpudock.facts.setup import Program, Setup, Toolkit
from gpudock.facts.snapshot import Snapshot
from gpudock.facts.system import Package, PciFunction

NVIDIA = 0x10DE
DISPLAY, NVSWITCH = 0x03, 0x068000
GPU_KIND = "nvidia.com/gpu"
EMPTY = Setup()


def cards(machine: Snapshot) -> list[PciFunction]:
    return [each for each in machine.pci if each.vendor == NVIDIA and each.pci_class >> 16 == DISPLAY]


def switches(machine: Snapshot) -> list[PciFunction]:
    return [each for each in machine.pci if each.vendor == NVIDIA and each.pci_class == NVSWITCH]


def module(machine: Snapshot) -> str | None:
    """Version of the loaded nvidia module; None when there is none, or it does not tell."""
    version = machine.kernel_driver.version
    return version if isinstance(version, str) else None


def user_space(machine: Snapshot) -> str | None:
    files = machine.driver
    return files.version if isinstance(files, DriverFiles) and isinstance(files.version, str) else None


def driver(machine: Snapshot) -> str:
    """Version of the driver, as far as anything tells; ""."""
    nvml = machine.nvml
    return module(machine) or ("" if isinstance(nvml, Missing) else nvml.driver) or user_space(machine) or ""


def library(machine: Snapshot, stem: str) -> bool:
    """Whether the driver's files have a 64-bit library of this name. True when nobody looked."""
    files = machine.driver
    if not isinstance(files, DriverFiles):
        return True
    return any(file.role == "library" and file.name.startswith(stem + ".so") for file in files.files)


def setup(machine: Snapshot) -> Setup:
    return machine.setup if isinstance(machine.setup, Setup) else EMPTY


def toolkit(machine: Snapshot) -> Toolkit | None:
    """NVIDIA's own container toolkit, when it is configured here."""
    found = setup(machine).toolkit
    return found if isinstance(found, Toolkit) else None


def engines(machine: Snapshot, name: str = "") -> list[Engine]:
    found = machine.engines if isinstance(machine.engines, tuple) else ()
    return [each for each in found if name in {"", each.name}]


def working(machine: Snapshot, name: str = "") -> list[Engine]:
    """Engines on this machine that answer."""
    return [each for each in engines(machine, name) if not each.problem and not each.remote]


def running(machine: Snapshot, name: str) -> bool | None:
    """Whether this daemon runs; None when nobody looked."""
    services = setup(machine).services
    return None if isinstance(services, Missing) else name in services


def program(machine: Snapshot, *names: str) -> Program | None:
    return next((each for each in setup(machine).programs if each.name in names), None)


def packages(machine: Snapshot, pattern: str) -> list[Package]:
    """Installed packages whose whole name fits."""
    found = machine.packages if isinstance(machine.packages, tuple) else ()
    return [each for each in found if re.fullmatch(pattern, each.name)]


def containers(machine: Snapshot) -> Iterator[ContainerFact]:
    yield from machine.containers if isinstance(machine.containers, tuple) else ()


def numbers(version: object) -> tuple[int, ...]:
    """The leading numbers of a version: 28.5.2+dfsg4 gives (28, 5, 2); () when it has none."""
    match = re.match(r"\D{0,2}(\d{1,9}(?:\.\d{1,9}){0,5})", version) if isinstance(version, str) else None
    return tuple(map(int, match[1].split("."))) if match else ()


def named(engine: Engine) -> str:
    """For people: "docker 28.5.2"."""
    return f"{engine.name} {engine.version}" if isinstance(engine.version, str) else engine.name
