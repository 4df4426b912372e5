"""One look at the machine: GPUs, the processes on them, their containers, and the people behind those.

Everything is frozen and is JSON (msgspec). A reading is a value or Missing(reason): what could not be read is never 0.
Units: bytes, bytes a second, watts, joules, MHz, degrees Celsius, per cent (0 to 100), seconds, Unix time. Text comes
from drivers, images and other users: whoever shows it makes it harmless first.
"""

from typing import Literal

import msgspec

from gpudock.facts.base import Missing

UNASKED = Missing("not asked")
TWO_LOOKS = Missing("needs two looks, ten seconds apart")  # as watch_calls says it


class Part(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Base of all values here. They hold no cycles, so the garbage collector need not look at them."""


class Memory(Part, frozen=True):
    total: int | Missing = UNASKED
    used: int | Missing = UNASKED  # by programs
    free: int | Missing = UNASKED
    reserved: int | Missing = UNASKED  # by the driver and the firmware


class Utilization(Part, frozen=True):
    """Per cent of the driver's last period of measuring."""

    gpu: int | Missing = UNASKED  # of a process: of the multiprocessors
    memory: int | Missing = UNASKED  # the time in which memory was read or written, not how full it is
    encoder: int | Missing = UNASKED
    decoder: int | Missing = UNASKED


class Power(Part, frozen=True):
    draw: float | Missing = UNASKED
    limit: float | Missing = UNASKED  # as it was set
    enforced: float | Missing = UNASKED  # the lowest of all limits
    default: float | Missing = UNASKED
    lowest: float | Missing = UNASKED  # that may be set
    highest: float | Missing = UNASKED


class Clocks(Part, frozen=True):
    graphics: int | Missing = UNASKED
    sm: int | Missing = UNASKED
    memory: int | Missing = UNASKED
    video: int | Missing = UNASKED


class Temperature(Part, frozen=True):
    gpu: int | Missing = UNASKED
    memory: int | Missing = UNASKED
    slowdown: int | Missing = UNASKED  # thresholds
    shutdown: int | Missing = UNASKED


class Ecc(Part, frozen=True):
    """Counts of errors; volatile: since the driver was loaded, aggregate: of the GPU's life."""

    enabled: bool | Missing = UNASKED
    corrected_volatile: int | Missing = UNASKED
    uncorrected_volatile: int | Missing = UNASKED
    corrected_aggregate: int | Missing = UNASKED
    uncorrected_aggregate: int | Missing = UNASKED
    retired_pending: bool | Missing = UNASKED  # pages wait for a reboot, on GPUs that do not remap rows


class Remapped(Part, frozen=True):
    """Rows of memory that were replaced by spare ones."""

    corrected: int | Missing = UNASKED
    uncorrected: int | Missing = UNASKED
    pending: bool | Missing = UNASKED
    failed: bool | Missing = UNASKED


class Link(Part, frozen=True):
    """PCIe: what passes now, and how fast the link is."""

    sent: int | Missing = UNASKED  # bytes a second, from the GPU
    received: int | Missing = UNASKED
    generation: int | Missing = UNASKED
    width: int | Missing = UNASKED
    generation_max: int | Missing = UNASKED
    width_max: int | Missing = UNASKED
    replays: int | Missing = UNASKED


class Nvlink(Part, frozen=True):
    """All links of a GPU together; sent and received are bytes a second between two slow looks."""

    active: int | Missing = UNASKED  # links
    sent: int | Missing = UNASKED
    received: int | Missing = UNASKED
    sent_total: int | Missing = UNASKED  # bytes since the driver was loaded
    received_total: int | Missing = UNASKED


class Profiling(Part, frozen=True):
    """Shares of the last ten seconds, 0 to 1, from the GPU's own counters (Hopper and later)."""

    graphics: float | Missing = UNASKED  # a kernel or a drawing was there at all
    sm: float | Missing = UNASKED  # of the multiprocessors
    occupancy: float | Missing = UNASKED  # of their warps
    tensor: float | Missing = UNASKED  # the tensor cores worked
    dram: float | Missing = UNASKED  # of the memory's bandwidth
    encoder: float | Missing = UNASKED  # of the busiest video encoder
    decoder: float | Missing = UNASKED
    pcie_sent: int | Missing = UNASKED  # bytes a second
    pcie_received: int | Missing = UNASKED


class Encoder(Part, frozen=True):
    """What is encoded as video now, over all sessions."""

    sessions: int | Missing = UNASKED
    fps: int | Missing = UNASKED
    latency: int | Missing = UNASKED  # microseconds


class Xid(Part, frozen=True):
    """A kind of error that the driver reported since the collector started."""

    code: int
    times: int
    last: float  # Unix time


class Instance(Part, frozen=True):
    """A MIG device; its processes are in Sample.processes.

    Its GPU instance, which several of them may share, has the memory and the counters.
    """

    index: int  # within its GPU
    gi: int
    ci: int
    uuid: str
    profile: str | Missing = UNASKED  # "1g.18gb"
    memory: Memory = Memory()
    profiling: Profiling = Profiling()

    @property
    def utilization(self) -> int | Missing:
        """Per cent of ten seconds. NVML's usual utilization is of whole GPUs only."""
        busy = self.profiling.graphics
        return busy if isinstance(busy, Missing) else round(100 * busy)

    @property
    def slices(self) -> int:
        """How many of the GPU's equal parts that compute its GPU instance has: 3 of "1c.3g.71gb"."""
        digits = self.profile.partition("g.")[0].rpartition(".")[2] if isinstance(self.profile, str) else ""
        return int(digits) if digits.isdecimal() else 1


class Gpu(Part, frozen=True):
    index: int
    uuid: str  # "GPU-..."
    bus_id: str  # "0000:00:06.0"
    minor: int  # of /dev/nvidiaN; -1: it has no node
    name: str | Missing = UNASKED
    serial: str | Missing = UNASKED
    vbios: str | Missing = UNASKED
    compute_capability: str | Missing = UNASKED
    utilization: Utilization = Utilization()
    memory: Memory = Memory()
    temperature: Temperature = Temperature()
    power: Power = Power()
    energy: float | Missing = UNASKED  # since the driver was loaded
    clocks: Clocks = Clocks()
    clocks_max: Clocks = Clocks()
    fan: int | Missing = UNASKED  # per cent of its highest speed
    pstate: int | Missing = UNASKED  # 0 is the busiest
    throttle: tuple[str, ...] | Missing = UNASKED  # why clocks are low: "gpu_idle", "sw_power_cap", "hw_slowdown" ...
    ecc: Ecc = Ecc()
    remapped: Remapped = Remapped()
    pcie: Link = Link()
    nvlink: Nvlink = Nvlink()
    profiling: Profiling = Profiling()
    encoder: Encoder = Encoder()
    fabric: int | Missing = UNASKED  # of NVLink switches: 0 not supported, 1 not started, 2 in progress, 3 completed
    recovery: int | Missing = UNASKED  # nvmlDeviceGpuRecoveryAction_t: 0 nothing, 1 GPU reset, 2 reboot, ...
    licensed: bool | Missing = UNASKED  # of a virtual GPU
    xids: tuple[Xid, ...] | Missing = UNASKED  # latest last
    compute_mode: int | Missing = UNASKED
    persistence: bool | Missing = UNASKED
    mig: bool | Missing = UNASKED
    instances: tuple[Instance, ...] = ()
    untold: Missing | None = (
        None  # why the driver does not tell who is on it: those who are may not be in Sample.processes
    )
    idle: float | None = None  # for so many seconds a process has held it and nobody used it; None: used, or free

    @property
    def loads(self) -> tuple[int | Missing, ...]:
        """Utilization of what is used on its own: the MIG instances, else the whole."""
        return tuple(each.utilization for each in self.instances) or (self.utilization.gpu,)

    @property
    def load(self) -> int | Missing:
        """Utilization of the whole; where the driver does not tell it, that of the MIG instances by their size."""
        if isinstance(self.utilization.gpu, int) or not self.instances:
            return self.utilization.gpu
        busy = size = 0
        for each in {each.gi: each for each in self.instances}.values():
            if isinstance(each.utilization, Missing):
                return each.utilization
            busy += each.utilization * each.slices
            size += each.slices
        return round(busy / size)


class Owner(Part, frozen=True):
    """The person behind something. The stronger sources come first."""

    name: str  # the account's name, "#1000" for a uid without one
    uid: int | None = None
    source: Literal["label", "service", "compose", "pod", "job", "subuid", "path", "process"] = "process"


class Pod(Part, frozen=True):
    uid: str
    name: str = ""  # empty where only the cgroup tells of it
    namespace: str = ""
    container: str = ""


class Process(Part, frozen=True):
    """A process on one GPU; with two GPUs it is there twice. (pid, gpu, gi, ci) is the key."""

    pid: int  # on the host
    gpu: str  # UUID
    gi: int | None = None  # MIG
    ci: int | None = None
    kind: str = "C"  # "C" compute, "G" graphics, "M" MPS client, or several of them
    memory: int | Missing = UNASKED
    utilization: Utilization = Utilization()
    name: str = ""  # of the program, without arguments; "" when it is gone already
    command: str = ""  # with arguments: only if that was asked for
    uid: int | None = None
    user: str = ""  # the account of the process itself, often root in a container
    started: float | None = None
    container: str = ""  # id in Sample.containers; "" for a process of the host
    pod: Pod | None = None
    job: str = ""  # Slurm's
    owner: Owner | None = None  # None: the process was gone before it could be looked at

    @property
    def holds(self) -> bool:
        """A display server draws on each GPU that it finds, for as long as the machine runs: it keeps nobody off."""
        return self.kind != "G" or bool(self.container)


class Use(Part, frozen=True):
    """What a container takes of the machine, from its cgroup."""

    cpu: float | Missing = UNASKED  # cores in use; 1.5 is one and a half
    cpu_seconds: float | Missing = UNASKED  # since it started
    memory: int | Missing = UNASKED
    memory_limit: int | Missing | None = UNASKED  # None: none was set
    read: int | Missing = UNASKED  # bytes from block devices since it started
    written: int | Missing = UNASKED


class Container(Part, frozen=True):
    """A container with a process on a GPU."""

    id: str  # 64 hexadecimal digits, and "@1000" behind them if the container is in an engine of user 1000's own
    engine: str = ""  # "docker", "podman"; "" when no engine that could be asked knows it
    name: str = ""
    image: str = ""
    environment: str = ""  # of gpudock
    project: str = ""  # of compose
    service: str = ""
    pod: Pod | None = None
    owner: Owner | None = None
    gpus: tuple[str, ...] = ()  # UUIDs that its processes are on
    memory: int | Missing = UNASKED  # of GPUs, by its processes
    utilization: int | Missing = UNASKED  # of the multiprocessors, added up over its processes: 200 is two whole GPUs
    use: Use = Use()

    @property
    def label(self) -> str:
        """What a person calls it."""
        return self.name or self.id[:12]


class Person(Part, frozen=True):
    name: str
    uid: int | None = None
    gpus: tuple[str, ...] = ()
    memory: int | Missing = UNASKED
    utilization: int | Missing = UNASKED
    processes: int = 0
    containers: tuple[str, ...] = ()


class Engine(Part, frozen=True):
    name: str
    problem: str = ""  # why it could not be asked; what is known of its containers is then from before


class Sample(Part, frozen=True):
    time: float  # when the GPUs were read last; while they never were, when that was tried last
    number: int = 0  # goes up by one; not continued over a restart
    age: float = 0.0  # seconds since `time`, when this value was handed out
    interval: float = 1.0  # seconds between two looks, as it was asked for
    took: float = 0.0  # seconds that the last look took
    host: str = ""
    simulated: bool = False
    driver: str | Missing = UNASKED
    cuda: str | Missing = UNASKED
    gpus: tuple[Gpu, ...] | Missing = UNASKED  # Missing: no driver, or it has never answered
    processes: tuple[Process, ...] = ()
    containers: tuple[Container, ...] = ()
    people: tuple[Person, ...] = ()
    engines: tuple[Engine, ...] = ()
    problems: tuple[str, ...] = ()  # what a person should know, one sentence each

    @property
    def stale(self) -> bool:
        """Older than two looks should make it: say so wherever it is shown."""
        return self.age > 2 * self.interval + self.took + 1

    @property
    def never_read(self) -> bool:
        return isinstance(self.driver, Missing)

    def container(self, wanted: str) -> Container | None:
        return next((each for each in self.containers if each.id == wanted), None)

    def gpu(self, uuid: str) -> Gpu | None:
        gpus = () if isinstance(self.gpus, Missing) else self.gpus
        return next((each for each in gpus if each.uuid == uuid), None)


def encode(sample: Sample) -> bytes:
    return msgspec.json.encode(sample)


def decode(data: bytes) -> Sample:
    """Raises msgspec.DecodeError."""
    return msgspec.json.decode(data, type=Sample)
