"""The simulated machine as values. Strict when decoded: what they cannot hold is refused, and nothing is guessed."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

MIG_BRANCH = 450  # first driver branch with GPU instances

Version = Annotated[str, Meta(pattern=r"^[0-9]{3}\.[0-9]{1,3}(\.[0-9]{1,2})?\Z")]
CudaVersion = Annotated[str, Meta(pattern=r"^[0-9]{1,2}\.[0-9]\Z")]
Name = Annotated[str, Meta(pattern=r"^[ -~]{1,63}\Z")]
Program = Annotated[str, Meta(pattern=r"^[ -~]{1,255}\Z")]
Profile = Annotated[str, Meta(pattern=r"^[0-9a-z.+]{1,15}\Z")]
GpuUuid = Annotated[str, Meta(pattern=r"^GPU-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")]
MigUuid = Annotated[str, Meta(pattern=r"^MIG-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")]
BusId = Annotated[str, Meta(pattern=r"^[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]\Z")]
Capability = Annotated[str, Meta(pattern=r"^[0-9]{1,2}\.[0-9]\Z")]
Fault = Annotated[str, Meta(pattern=r"^(hang|stuck|segfault|error:[1-9][0-9]{0,2})\Z")]
Bytes = Annotated[int, Meta(ge=0, le=1 << 48)]
Count = Annotated[int, Meta(ge=0, le=1 << 20)]
Percent = Annotated[int, Meta(ge=0, le=100)]
DeviceMinor = Annotated[int, Meta(ge=0, le=31)]  # the driver's MIG capabilities end at GPU 31
Id16 = Annotated[int, Meta(ge=0, le=0xFFFF)]
Major = Annotated[int, Meta(ge=1, le=511)]


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    pass


class Process(Part, frozen=True):
    pid: Annotated[int, Meta(ge=1, le=4194304)]
    name: Program
    used_memory: Bytes | None = 0  # None: NVML cannot tell
    type: Literal["C", "G"] = "C"  # compute or graphics, as nvidia-smi writes them
    utilization: Percent = 0  # of the multiprocessors


class Instance(Part, frozen=True):
    """A MIG device: a compute instance within a GPU instance."""

    gi: Annotated[int, Meta(ge=0, le=14)]
    ci: Annotated[int, Meta(ge=0, le=7)]
    profile: Profile  # "1g.10gb", "1c.3g.40gb"
    uuid: MigUuid
    memory: Bytes
    multiprocessors: Count = 0
    copy_engines: Count = 0
    decoders: Count = 0
    encoders: Count = 0
    jpegs: Count = 0
    ofas: Count = 0
    gi_slices: Annotated[int, Meta(ge=1, le=8)] = 1
    ci_slices: Annotated[int, Meta(ge=1, le=8)] = 1
    processes: tuple[Process, ...] = ()


class Gpu(Part, frozen=True):
    name: Name
    uuid: GpuUuid
    bus_id: BusId  # "0000:0a:00.0", as /sys spells it
    minor: DeviceMinor  # of /dev/nvidiaN
    memory: Bytes
    compute_capability: Capability
    reserved: Bytes = 0  # memory that the driver keeps
    brand: Count = 14  # nvmlBrandType_t: 2 Tesla, 5 GeForce, 14 NVIDIA
    pci_device: Id16 = 0x2335
    pci_subsystem: Id16 = 0x18BF
    multiprocessors: Count = 0
    mig: Literal["unsupported", "disabled", "enabled"] = "unsupported"
    instances: tuple[Instance, ...] = ()
    processes: tuple[Process, ...] = ()
    persistence: bool = True
    temperature: Count = 40  # degrees Celsius
    power: Count = 88_000  # mW
    power_limit: Count = 700_000  # mW
    utilization: Percent = 0
    memory_utilization: Percent = 0
    swing: Percent = 0  # by so much the utilization goes up and down again within ten seconds, and power with it
    encoder: Percent = 0
    decoder: Percent = 0
    clock: Count = 1980  # MHz
    memory_clock: Count = 3201
    slowdown: Count = 89  # degrees Celsius; 0: not told
    shutdown: Count = 92
    pcie: Count = 0  # KB/s in each direction
    links: Annotated[int, Meta(ge=0, le=18)] = 0  # NVLinks; each carries 1 MiB/s in each direction
    fan: Percent | None = None  # None: it has none
    corrected: Count = 0  # errors of memory
    uncorrected: Count = 0
    xid: Count = 0  # an error that is reported once to everybody who listens


class Majors(Part, frozen=True):
    """Device majors. Building moves the ones that the real machine has given to somebody."""

    nvidia: Major = 195
    nvidia_uvm: Major = 510
    nvidia_caps: Major = 511


class Description(Part, frozen=True):
    version: int
    driver: Version  # of the user space: "580.159.04"
    cuda: CudaVersion  # "13.0"
    gpus: Annotated[tuple[Gpu, ...], Meta(max_length=32)]  # in NVML's order
    module: Version | None = None  # of the loaded kernel module, when it is not the user space's
    majors: Majors = Majors()
    faults: dict[str, Fault] = {}  # function of NVML or CUDA -> what it does instead of its work

    @property
    def branch(self) -> int:
        return int(self.driver.partition(".")[0])
