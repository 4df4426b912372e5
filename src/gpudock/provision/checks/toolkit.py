"""NVIDIA's container toolkit, runtimes and control groups: the ways in which GPUs get lost or forbidden."""

from collections.abc import Iterator

from gpudock.facts.base import Missing
from gpudock.facts.snapshot import Snapshot
from gpudock.provision.check import ERROR, NOTE, WARNING, Check, Mend, Seen, check
from gpudock.provision.machine import driver, engines, named, numbers, packages, program, setup, toolkit, working

CHECKS: list[Check] = []
CONFIG = "/etc/nvidia-container-runtime/config.toml"
_FIRST_JIT = (1, 18)  # from here on NVIDIA's runtime tells the low-level runtime of the devices


@check(
    CHECKS,
    "toolkit-config",
    ERROR,
    "The configuration of NVIDIA's toolkit cannot be read",
    cause="The file is no TOML. Containers of the runtime nvidia do not start.",
    fix=("sudo nvidia-ctk config default --output=" + CONFIG,),
    messages=("unable to load config: failed to load config: unable to parse config",),
)
def toolkit_config(machine: Snapshot) -> Iterator[str]:
    told = toolkit(machine)
    if told and told.error:
        yield f"{told.path}: {told.error}"


@check(
    CHECKS,
    "toolkit-root",
    ERROR,
    "NVIDIA's toolkit looks for the driver in the wrong place",
    cause="nvidia-container-cli.root names a folder without a driver: it stayed from a driver container, for example.",
    fix=('sudo nvidia-ctk config --in-place --set nvidia-container-cli.root="/"',),
    messages=(
        "nvidia-container-cli: initialization error: load library failed: libnvidia-ml.so.1",
        "nvidia-container-cli: initialization error: driver error: failed to process request",
    ),
    references=("NVIDIA/nvidia-container-toolkit#848", "NVIDIA/nvidia-container-toolkit#930"),
)
def toolkit_root(machine: Snapshot) -> Iterator[str]:
    told = toolkit(machine)
    if told and not told.error and told.root != "/" and not told.library:
        yield f"root = {told.root}, where no libnvidia-ml is"


@check(
    CHECKS,
    "linker-cache",
    WARNING,
    "The system's linker does not know the driver's libraries",
    cause="NVIDIA's nvidia-container-cli finds the driver by /etc/ld.so.cache, which is older than the driver, or the "
    "driver is in a folder of its own. gpudock looks into the folders themselves.",
    fix=("sudo ldconfig", "ldconfig -p | grep -e libcuda -e libnvidia-ml"),
    messages=("nvidia-container-cli: initialization error: load library failed: libnvidia-ml.so.1",),
    references=("NVIDIA/nvidia-docker#1711", "NVIDIA/libnvidia-container#231"),
    mend=lambda _: iter([Mend(("ldconfig",), "writes /etc/ld.so.cache anew", "not needed: it lists what is there")]),
)
def linker_cache(machine: Snapshot) -> Iterator[str]:
    cached = setup(machine).cached
    local = not isinstance(machine.driver, Missing) and machine.driver.root == "/" and not machine.roots.simulated
    if program(machine, "nvidia-container-cli") and local and isinstance(cached, tuple) and not machine.system.wsl:
        lacking = [name for name in ("libcuda.so.1", "libnvidia-ml.so.1") if name not in cached]
        if lacking:
            yield f"/etc/ld.so.cache does not list {', '.join(lacking)}"


@check(
    CHECKS,
    "ldconfig",
    ERROR,
    "The system's ldconfig does not run",
    cause="NVIDIA's hook runs it in every container. It fails on a file system without exec, on a damaged system, "
    "and where "
    "something kills it.",
    fix=("/sbin/ldconfig -V", "sudo apt-get install --reinstall libc-bin"),
    messages=("nvidia-container-cli: ldcache error: process /sbin/ldconfig failed with error code: 1",),
    references=(
        "NVIDIA/nvidia-container-toolkit#147",
        "NVIDIA/nvidia-container-toolkit#1246",
        "NVIDIA/nvidia-docker#659",
        "NVIDIA/libnvidia-container#177",
    ),
)
def ldconfig(machine: Snapshot) -> Iterator[str]:
    broken = setup(machine).ldconfig
    if broken:
        yield broken


@check(
    CHECKS,
    "seccomp",
    WARNING,
    "The kernel has no seccomp filters",
    cause="Engines then refuse their default profile, and NVIDIA's hook, which runs ldconfig under a filter, fails.",
    fix=("# a kernel with CONFIG_SECCOMP_FILTER=y; until then: --security-opt seccomp=unconfined",),
    messages=(
        "ldcache error: process /sbin/ldconfig failed with error code: 1",
        "seccomp is not enabled in your kernel",
    ),
    references=("NVIDIA/nvidia-container-toolkit#147", "NVIDIA/nvidia-docker#1456"),
)
def seccomp(machine: Snapshot) -> Iterator[str]:
    if setup(machine).seccomp is False:
        yield "there is no /proc/sys/kernel/seccomp"


@check(
    CHECKS,
    "toolkit-mode",
    WARNING,
    "NVIDIA's toolkit is set to a mode in which docker's --gpus fails",
    cause="docker's --gpus calls the hook directly, which works in the modes auto and legacy only.",
    fix=(
        "docker run --runtime=nvidia -e NVIDIA_VISIBLE_DEVICES=all …    # or --device nvidia.com/gpu=all",
        "sudo nvidia-ctk config --in-place --set nvidia-container-runtime.mode=auto",
    ),
    messages=(
        (
            "invoking the NVIDIA Container Runtime Hook directly (e.g. specifying the docker --gpus flag) is not "
            "supported. "
            "Please use the NVIDIA Container Runtime (e.g. specify the --runtime=nvidia flag) instead"
        ),
    ),
    references=("dstackai/dstack#2306", "NVIDIA/nvidia-container-runtime#190"),
)
def toolkit_mode(machine: Snapshot) -> Iterator[str]:
    told = toolkit(machine)
    hook = program(machine, "nvidia-container-runtime-hook")
    if told and hook and told.mode not in {"auto", "legacy"} and working(machine, "docker"):
        yield f'{told.path}: mode = "{told.mode}"'


@check(
    CHECKS,
    "no-cgroups",
    ERROR,
    "no-cgroups does not suit the engine",
    cause="A rootless engine may not set device rules, so NVIDIA's hook needs no-cgroups = true there; with it, "
    "containers "
    "of a docker that runs as root may not open the GPUs. One file cannot serve both; CDI does.",
    fix=(
        "docker run --device nvidia.com/gpu=all …    # CDI: works for both",
        "sudo nvidia-ctk config --in-place --set nvidia-container-cli.no-cgroups=false    # only root's engine",
    ),
    messages=(
        (
            "nvidia-container-cli: mount error: failed to add device rules: bpf_prog_query(BPF_CGROUP_DEVICE) failed: "
            "operation not permitted"
        ),
        "Failed to initialize NVML: Unknown Error",
    ),
    references=(
        "NVIDIA/nvidia-container-toolkit#139",
        "NVIDIA/libnvidia-container#154",
        "NVIDIA/nvidia-docker#1688",
        "containers/podman#4507",
    ),
)
def no_cgroups(machine: Snapshot) -> Iterator[str]:
    told = toolkit(machine)
    for engine in working(machine, "docker") if told else ():
        legacy = "nvidia" in engine.runtimes or engine.cdi is False
        if told and told.no_cgroups and engine.rootless is False and legacy:
            yield f"no-cgroups = true, {named(engine)} runs as root"
        if told and not told.no_cgroups and engine.rootless is True and legacy and told.mode in {"legacy", "auto"}:
            yield f"no-cgroups = false, {named(engine)} is rootless"


@check(
    CHECKS,
    "daemon-reload",
    WARNING,
    "A systemctl daemon-reload will take the GPUs from running containers",
    cause="NVIDIA's hook allows devices behind systemd's back; systemd sets the rules that it knows whenever it "
    "reloads, "
    "also when a package is upgraded.",
    fix=(
        "docker run --device nvidia.com/gpu=all …    # CDI: the runtime knows the devices",
        "sudo gpudock configure docker --as nvidia --restart    # or gpudock's runtime in place of NVIDIA's",
        '# or "exec-opts": ["native.cgroupdriver=cgroupfs"] in daemon.json',
    ),
    messages=("Failed to initialize NVML: Unknown Error",),
    references=(
        "NVIDIA/nvidia-container-toolkit#48",
        "NVIDIA/nvidia-container-toolkit#251",
        "NVIDIA/nvidia-container-toolkit#1227",
        "NVIDIA/nvidia-docker#1671",
        "NVIDIA/nvidia-docker#1730",
    ),
)
def daemon_reload(machine: Snapshot) -> Iterator[str]:
    told = toolkit(machine)
    version = next((numbers(each.version) for each in packages(machine, "nvidia-container-toolkit")), ())
    legacy = bool(told) and (told.mode == "legacy" or (bool(version) and version < _FIRST_JIT)) if told else False
    for engine in working(machine, "docker"):
        systemd = engine.cgroup_driver == "systemd" and machine.system.cgroup_version == 2
        if legacy and systemd and engine.rootless is False and "nvidia" in engine.runtimes:
            how = f"mode {told.mode}" if told else ""
            yield f"{named(engine)}: control groups by systemd, NVIDIA's runtime in {how}"


@check(
    CHECKS,
    "runc-forgets",
    WARNING,
    "This runc loses devices at systemctl daemon-reload",
    cause="runc 1.1.3 to 1.1.6 tells systemd of devices only that have a link in /dev/char.",
    fix=("sudo apt-get install --only-upgrade runc containerd.io    # runc 1.1.7 or newer",),
    messages=("Failed to initialize NVML: Unknown Error",),
    references=("opencontainers/runc#3708", "opencontainers/runc#3671", "opencontainers/runc#4859"),
)
def runc_forgets(machine: Snapshot) -> Iterator[str]:
    runc = program(machine, "runc")
    version = numbers(runc.version) if runc else ()
    by_systemd = any(engine.cgroup_driver == "systemd" for engine in working(machine))
    links = setup(machine).char_links_missing
    if runc and by_systemd and links and machine.system.cgroup_version == 2 and (1, 1, 3) <= version < (1, 1, 7):
        yield f"{runc.path} is {runc.version}"


@check(
    CHECKS,
    "selinux",
    WARNING,
    "SELinux keeps containers from device nodes",
    cause="Containers' programs may not use the nodes' type unless the administrator allows devices.",
    fix=(
        "sudo setsebool -P container_use_devices on",
        "podman run --security-opt label=disable …    # for one container",
    ),
    messages=("Failed to initialize NVML: Insufficient Permissions",),
    references=("NVIDIA/nvidia-container-toolkit#33", "NVIDIA/nvidia-container-toolkit#210"),
)
def selinux(machine: Snapshot) -> Iterator[str]:
    if machine.system.selinux == "enforcing" and setup(machine).selinux_devices is False and machine.gpus:
        yield "SELinux is enforcing, container_use_devices is off"


@check(
    CHECKS,
    "rootless-cgroup",
    NOTE,
    "A rootless engine cannot limit memory or CPU here",
    cause="Users get control groups of their own under cgroup version 2 with systemd only.",
    fix=("# boot with systemd.unified_cgroup_hierarchy=1",),
    messages=("Resource limits are not supported and ignored on cgroups V1 rootless systems",),
)
def rootless_cgroup(machine: Snapshot) -> Iterator[str]:
    for engine in engines(machine):
        if engine.rootless is True and machine.system.cgroup_version == 1:
            yield f"{named(engine)} is rootless, cgroup version 1"


@check(
    CHECKS,
    "rootless-nodes",
    WARNING,
    "A rootless engine is here, and the GPUs' nodes are not made at boot",
    cause="Only root can make device nodes: a rootless container started before anything of root's used the GPU "
    "finds none.",
    fix=("sudo gpudock refresh --install-units    # makes nodes and specification at each boot",),
    messages=("Error: stat /dev/nvidia-uvm: no such file or directory",),
    references=("NVIDIA/nvidia-container-toolkit#580", "NVIDIA/nvidia-container-runtime#85"),
)
def rootless_nodes(machine: Snapshot) -> Iterator[str]:
    rootless = [engine for engine in engines(machine) if engine.rootless is True]
    nodes = {node.path for node in machine.nodes}
    if rootless and driver(machine) and not machine.gpus and "/dev/nvidiactl" not in nodes and not machine.system.wsl:
        yield f"{named(rootless[0])} is rootless, there is no /dev/nvidiactl"


@check(
    CHECKS,
    "toolkit-mixed",
    WARNING,
    "Packages of NVIDIA's toolkit are of different versions",
    cause="Two repositories give them, or a pin (Pop!_OS has one) holds some back.",
    fix=(
        "apt-cache policy nvidia-container-toolkit libnvidia-container1",
        (
            "sudo apt-get install nvidia-container-toolkit=VERSION nvidia-container-toolkit-base=VERSION "
            "libnvidia-container-tools=VERSION libnvidia-container1=VERSION"
        ),
    ),
    messages=(
        (
            "nvidia-container-toolkit : Depends: nvidia-container-toolkit-base (= 1.13.5-1) but 1.14.0-1 is to be "
            "installed"
        ),
    ),
    references=(
        "NVIDIA/nvidia-container-toolkit#170",
        "NVIDIA/libnvidia-container#194",
        "NVIDIA/nvidia-docker#1388",
        "NVIDIA/nvidia-container-toolkit#1091",
    ),
)
def toolkit_mixed(machine: Snapshot) -> Iterator[Seen]:
    found = packages(machine, r"nvidia-container-toolkit(?:-base)?|libnvidia-container1|libnvidia-container-tools")
    if len({each.version for each in found}) > 1:
        yield Seen(", ".join(f"{each.name} {each.version}" for each in found))
