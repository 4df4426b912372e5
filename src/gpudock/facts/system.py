"""The machine around the GPUs: operating system, kernel, buses, packages."""

from gpudock.facts.base import Fact, Missing


class System(Fact, frozen=True):
    os_id: str | Missing  # ID of os-release: "debian", "ubuntu", "rhel"
    os_version: str | Missing  # VERSION_ID: "12"
    os_name: str | Missing  # PRETTY_NAME
    kernel: str | Missing  # uname -r
    architecture: str  # "x86_64" or "aarch64", as uname -m
    boot_id: str | Missing
    cgroup_version: int | Missing  # 1 or 2 (a hybrid host counts as 1)
    init: str | Missing  # "systemd" or the name of process 1
    wsl: bool = False
    selinux: str | Missing = "disabled"  # enforcing, permissive, disabled


class PciFunction(Fact, frozen=True):
    """A display-class (03xx) or NVSwitch (0680) function."""

    address: str  # "0000:00:06.0"
    vendor: int
    device: int
    pci_class: int  # 24 bits: 0x030200 is a 3D controller
    kernel_driver: str | None = None  # what is bound to it: "nvidia", "nouveau", "vfio-pci"


class Module(Fact, frozen=True):
    """A loaded kernel module that matters for GPUs and containers."""

    name: str
    version: str | None = None


class Package(Fact, frozen=True):
    name: str
    version: str
    manager: str  # "dpkg" or "rpm"


class PackageSource(Fact, frozen=True):
    path: str  # file that names the source
    line: str  # the entry, with credentials removed
