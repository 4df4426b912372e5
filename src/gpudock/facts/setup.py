"""How the machine is set up around GPUs and engines: what `gpudock doctor` looks at besides everything else.

Every field has a default: a snapshot of an earlier gpudock, or one that was taken without these, still loads.
"""

from gpudock.facts.base import Fact, Missing

UNASKED = Missing("not asked")


class DaemonJson(Fact, frozen=True):
    """A configuration file of docker's, as far as it matters here; values that may hold secrets are left out."""

    path: str
    error: str | None = None  # why a daemon would refuse it
    keys: tuple[str, ...] = ()
    runtimes: dict[str, str] = {}  # name -> program
    missing_programs: tuple[str, ...] = ()  # of those, absolute paths that lead to nothing
    default_runtime: str | None = None
    userns_remap: str | None = None
    cgroup_driver: str | None = None  # of exec-opts
    cdi: bool | None = None  # features.cdi


class Dockerd(Fact, frozen=True):
    """The running daemon."""

    started: int  # seconds since 1970
    flags: tuple[str, ...] = ()  # names: "data-root", "add-runtime"
    proxies: tuple[str, ...] | Missing = UNASKED  # names of proxy variables that it was started with


class Context(Fact, frozen=True):
    """A place that docker's client knows a docker at."""

    name: str
    address: str  # without credentials
    current: bool = False


class Disk(Fact, frozen=True):
    path: str
    use: str  # "docker", "podman", "gpudock"
    file_system: str | Missing
    size: int  # bytes
    free: int  # bytes, for users
    inodes: int  # 0: the file system does not count them
    inodes_free: int
    options: tuple[str, ...] = ()  # of its mount: "noexec", "ro"


class Program(Fact, frozen=True):
    """A program of NVIDIA's toolkit, or a runtime, where daemons find it."""

    name: str  # "nvidia-container-runtime-hook", "runc"
    path: str
    changed: int  # seconds since 1970: when it came there
    version: str | Missing = UNASKED


class Xid(Fact, frozen=True):
    """An error that the driver wrote into the kernel log, with how often."""

    code: int
    bus_id: str
    count: int


class Toolkit(Fact, frozen=True, tag_field="is", tag="toolkit"):
    """The configuration of NVIDIA's container toolkit."""

    path: str
    error: str | None = None
    mode: str = "auto"
    no_cgroups: bool = False
    root: str = "/"  # nvidia-container-cli.root
    library: bool = True  # that root holds an NVML library
    accept_envvar: bool = True  # unprivileged containers may ask by a variable


class Mirror(Fact, frozen=True):
    """A registry mirror that docker is told to use."""

    address: str
    problem: str | None = None


class SpecState(Fact, frozen=True):
    """A CDI specification held against the machine."""

    path: str
    mode: int  # permission bits
    devices: int
    nodes: tuple[str, ...] = ()  # paths on the host that it names
    wrong_nodes: tuple[str, ...] = ()  # one sentence each
    missing: tuple[str, ...] = ()  # host paths of mounts and hooks that do not exist
    drivers: tuple[str, ...] = ()  # versions that its paths carry
    hooks: tuple[str, ...] = ()  # what its hooks are told to do: "create-symlinks", "chmod"
    folders: tuple[str, ...] = ()  # of libraries, in the container
    has_32_bit: bool = False
    sockets: tuple[str, ...] = ()
    stale: str | None = None  # ours: why containers would be refused


class SubIds(Fact, frozen=True):
    """How many subordinate ids a user has."""

    user: str
    uids: int = 0
    gids: int = 0


class Caller(Fact, frozen=True):
    """Who asked."""

    uid: int
    name: str
    groups: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()  # names of proxy variables that are set
    no_proxy: bool = False


class Clock(Fact, frozen=True):
    now: int  # seconds since 1970
    newest: int | Missing  # change of the newest file that package managers write
    synchronised: bool | Missing = UNASKED


class Setup(Fact, frozen=True, tag_field="is", tag="setup"):
    secure_boot: bool | Missing = UNASKED
    module_built: bool | Missing = UNASKED  # there is an nvidia.ko for the running kernel
    systemd: int | Missing = UNASKED
    seccomp: bool | Missing = UNASKED
    selinux_devices: bool | Missing = UNASKED  # the boolean container_use_devices
    ldconfig: str | None = None  # why the system's ldconfig does not work
    cached: tuple[str, ...] | Missing = UNASKED  # of libcuda and NVML, the SONAMEs that programs would find
    libraries_32_bit: bool = False
    char_links_missing: tuple[str, ...] = ()  # /dev/char links of device nodes
    services: tuple[str, ...] | Missing = UNASKED  # daemons that run: "nvidia-persistenced", "nv-fabricmanager"
    xids: tuple[Xid, ...] | Missing = UNASKED
    caller: Caller | None = None
    docker_group: tuple[str, ...] | Missing = UNASKED  # members
    subids: tuple[SubIds, ...] = ()
    daemon_jsons: tuple[DaemonJson, ...] = ()
    dockerd: Dockerd | None = None
    contexts: tuple[Context, ...] = ()
    snap_docker: bool = False
    disks: tuple[Disk, ...] = ()
    programs: tuple[Program, ...] = ()
    toolkit: Toolkit | Missing = UNASKED
    mirrors: tuple[Mirror, ...] = ()
    specs: tuple[SpecState, ...] = ()
    clock: Clock | None = None
    compose_v1: str | None = None  # version of a docker-compose program in Python
