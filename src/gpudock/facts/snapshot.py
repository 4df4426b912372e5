"""The whole machine as one value."""

from gpudock.facts.base import Fact, Missing
from gpudock.facts.container import ContainerFact, ImageFact, Volume
from gpudock.facts.driver import DriverFiles
from gpudock.facts.engine import CdiSpecFile, Engine
from gpudock.facts.gpu import DeviceNode, Gpu, KernelDriver, Nvml
from gpudock.facts.setup import Setup
from gpudock.facts.system import Module, Package, PackageSource, PciFunction, System

FORMAT = 1  # grows when an older gpudock could not read the new shape


class Roots(Fact, frozen=True):
    """Where the facts were looked for. "/" and "/dev" on an ordinary host."""

    driver: str = "/"
    dev: str = "/"  # the folder that holds dev/
    proc: str = "/proc"
    sys: str = "/sys"
    simulated: bool = False


class Snapshot(Fact, frozen=True):
    format: int
    gpudock: str  # version that wrote it
    taken: str  # ISO 8601, UTC
    roots: Roots
    system: System
    pci: tuple[PciFunction, ...]
    modules: tuple[Module, ...]
    kernel_driver: KernelDriver
    nvml: Nvml | Missing
    gpus: tuple[Gpu, ...]
    nodes: tuple[
        DeviceNode, ...
    ]  # every NVIDIA node: GPUs, control, caps, IMEX channels, NVSwitch, GDS, RDMA, /dev/dxg, DRM
    driver: DriverFiles | Missing
    engines: tuple[Engine, ...] | Missing = Missing("not asked")
    cdi_specs: tuple[CdiSpecFile, ...] = ()
    packages: tuple[Package, ...] | Missing = Missing("not asked")
    package_sources: tuple[PackageSource, ...] = ()
    setup: Setup | Missing = Missing("not asked")
    containers: tuple[ContainerFact, ...] | Missing = Missing("not asked")
    unlisted: tuple[str, ...] = ()  # engines whose containers or volumes could not be listed, each with why
    volumes: tuple[Volume, ...] = ()  # of drivers that brought NVIDIA's driver into containers
    images: tuple[ImageFact, ...] = ()
