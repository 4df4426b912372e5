"""GPUs and what the kernel driver says of them."""

from gpudock.facts.base import Fact, Missing


class GpuProcess(Fact, frozen=True):
    pid: int
    used_memory: int | Missing  # bytes
    gi: int | None = None  # MIG: the GPU instance that it runs in
    ci: int | None = None


class MigInstance(Fact, frozen=True):
    index: int  # within its parent: the 1 of "0:1"
    gi: int  # GPU instance id
    ci: int  # compute instance id
    uuid: str  # "MIG-..."
    profile: str | Missing  # "1g.18gb"
    memory: int | Missing = Missing("not asked")  # bytes


class Gpu(Fact, frozen=True):
    index: int  # NVML's order, which is the PCI order
    uuid: str
    bus_id: str  # "0000:00:06.0", lower case, as /sys spells it
    minor: int  # of /dev/nvidiaN; -1 on WSL, where a GPU has no node of its own
    name: str | Missing
    brand: str | Missing = Missing("not asked")  # as requirements spell it: "tesla", "nvidia", "geforce"
    compute_capability: str | Missing = Missing("not asked")  # "9.0"
    memory: int | Missing = Missing("not asked")  # bytes
    mig: bool | Missing = Missing("not asked")  # MIG mode is on
    instances: tuple[MigInstance, ...] = ()
    persistence: bool | Missing = Missing("not asked")
    drm: tuple[str, ...] = ()  # "card0", "renderD128"
    processes: tuple[GpuProcess, ...] | Missing = Missing("not asked")


class DeviceNode(Fact, frozen=True):
    """A character device. `path` is its name in a container, `host` where it is on this machine."""

    path: str
    host: str
    major: int
    minor: int
    mode: int  # permission bits
    uid: int
    gid: int


class Capability(Fact, frozen=True):
    """A line of /proc/driver/nvidia-caps: the minor of /dev/nvidia-caps/nvidia-capN that stands for a right."""

    name: str  # "gpu0/gi1/ci0/access", "config", "monitor", "fabric-imex-mgmt"
    minor: int


class KernelDriver(Fact, frozen=True):
    """What is loaded, or that nothing is."""

    version: str | Missing  # of the nvidia kernel module
    open_module: bool | Missing = Missing("not asked")
    majors: dict[str, int] = {}  # /proc/devices: "nvidia", "nvidia-uvm", "nvidia-caps", ...
    capabilities: tuple[Capability, ...] = ()
    params: dict[str, str] = {}  # /proc/driver/nvidia/params


class Nvml(Fact, frozen=True, tag_field="is", tag="nvml"):
    """The answer of the NVML child. `driver` and `cuda` are versions: "580.159.04", "13.0"."""

    driver: str
    cuda: str | Missing
    library: str  # host path of the library that answered
    problems: tuple[str, ...] = ()  # GPUs and MIG devices that could not be read, and why
