"""Device nodes, and the state of the GPUs themselves."""

from collections.abc import Iterator
from shlex import quote

from gpudock.facts.base import Missing
from gpudock.facts.gpu import Nvml
from gpudock.facts.snapshot import Snapshot
from gpudock.provision.check import ERROR, NOTE, WARNING, Check, Mend, Seen, check
from gpudock.provision.machine import module, packages, running, setup, switches, working

CHECKS: list[Check] = []
MAKE_NODES = ("sudo nvidia-modprobe -c 0 -u", "sudo gpudock refresh")
_XIDS = {  # code -> what it means; docs.nvidia.com/deploy/xid-errors
    13: "a program's own error: an illegal instruction or address in a kernel of its",
    31: "a program's own error: it touched memory that it does not have",
    43: "a program's own error: the GPU stopped it",
    45: "a program was ended, often after another error",
    48: "memory error that could not be corrected: run dcgmi diag, and have the GPU replaced when it comes again",
    61: "the GPU's own controller stopped: reset the GPU",
    62: "the GPU's own controller halted: reset the GPU",
    63: "a broken page of memory was set aside; it takes effect at the next reset",
    64: "a broken page of memory could not be set aside: have the GPU replaced",
    74: "an NVLink failed: check cables, bridges and nvidia-fabricmanager",
    79: "the GPU has fallen off the bus: power, cooling, riser or the card itself",
    92: "many memory errors were corrected",
    94: "a memory error that hit one program only",
    95: "a memory error that hit everything on the GPU: reset it",
    109: "a context switch took too long",
    119: "the GPU's system processor does not answer: reset the GPU, update the driver",
    120: "the GPU's system processor reports an error: reset the GPU, update the driver",
}
_PROGRAMS_FAULT = {13, 31, 43, 45}


def _paths(machine: Snapshot) -> set[str]:
    return {node.path for node in machine.nodes}


def _make(machine: Snapshot) -> Iterator[Mend]:
    if not machine.roots.simulated and not machine.system.wsl:
        does = "makes the nodes that are missing, and loads nvidia-uvm"
        yield Mend(("nvidia-modprobe", "-c", "0", "-u"), does, "not needed: the nodes are gone after a reboot")


@check(
    CHECKS,
    "gpu-node-missing",
    ERROR,
    "A GPU has no device node",
    cause="Nothing has made the nodes since the driver was loaded: no X server, no nvidia-persistenced, no udev rule.",
    fix=MAKE_NODES,
    messages=("GPU 0 has no device node /dev/nvidia0", "Failed to initialize NVML: Unknown Error"),
    mend=_make,
)
def gpu_node_missing(machine: Snapshot) -> Iterator[str]:
    if machine.system.wsl or not machine.gpus:
        return
    needed = ["/dev/nvidiactl", *(f"/dev/nvidia{gpu.minor}" for gpu in machine.gpus)]
    yield from (f"{path} is missing" for path in needed if path not in _paths(machine))


@check(
    CHECKS,
    "uvm-node-missing",
    ERROR,
    "nvidia-smi works, but CUDA cannot: /dev/nvidia-uvm is missing",
    cause="The module nvidia-uvm is loaded on first use by a program of root's, and no CUDA program ran yet.",
    fix=MAKE_NODES,
    messages=(
        "CUDA unknown error - this may be due to an incorrectly set up environment",
        "cuInit failed: 999",
        "CUDA_ERROR_UNKNOWN: unknown error",
        "torch.cuda.is_available() is False",
    ),
    references=("NVIDIA/nvidia-container-toolkit#1934",),
    mend=_make,
)
def uvm_node_missing(machine: Snapshot) -> Iterator[str]:
    if machine.gpus and not machine.system.wsl and "/dev/nvidia-uvm" not in _paths(machine):
        yield "there is no /dev/nvidia-uvm"


@check(
    CHECKS,
    "uvm-renumbered",
    ERROR,
    "A device node has another number than its module",
    cause="nvidia-uvm gets its number when it is loaded; a node of an earlier boot or module leads to nothing.",
    fix=("sudo rm PATH    # the node that the evidence names", *MAKE_NODES),
    messages=("cuInit failed: 999", "CUDA_ERROR_UNKNOWN: unknown error"),
    references=("NVIDIA/nvidia-container-toolkit#1934", "NVIDIA/nvidia-container-toolkit#450"),
)
def uvm_renumbered(machine: Snapshot) -> Iterator[Seen]:
    majors = machine.kernel_driver.majors
    for node in machine.nodes:
        name = "nvidia-uvm" if node.path.startswith("/dev/nvidia-uvm") else ""
        name = "nvidia" if node.path == "/dev/nvidiactl" else name
        real = majors.get(name) or (majors.get("nvidia-frontend") if name == "nvidia" else None)
        if name and real and node.major != real:
            fix = (f"sudo rm {quote(node.host)}", *MAKE_NODES)
            yield Seen(f"{node.path} has major {node.major}, the module has {real}", fix)


@check(
    CHECKS,
    "node-modes",
    WARNING,
    "Device nodes are not open to all users",
    cause="NVreg_DeviceFileMode, a udev rule or somebody by hand. Users other than root then need the group, inside "
    "containers too.",
    fix=(
        "docker run --group-add GID …    # the group of the node: stat -c %g /dev/nvidia0",
        "sudo chmod 666 /dev/nvidia*    # until the next reboot; for good: NVreg_DeviceFileMode=0666",
    ),
    messages=("Failed to initialize NVML: Insufficient Permissions",),
    references=(
        "NVIDIA/nvidia-container-toolkit#33",
        "NVIDIA/nvidia-container-toolkit#580",
        "NVIDIA/nvidia-container-toolkit#1743",
        "NVIDIA/nvidia-docker#676",
    ),
)
def node_modes(machine: Snapshot) -> Iterator[str]:
    for node in machine.nodes:
        own = node.path.removeprefix("/dev/nvidia")
        if (own.isdecimal() or own in {"ctl", "-uvm"}) and node.mode & 0o006 != 0o006:
            yield f"{node.path} has mode {node.mode:o}, group {node.gid}"


@check(
    CHECKS,
    "modeset-node-missing",
    NOTE,
    "/dev/nvidia-modeset is missing",
    cause="The module nvidia-modeset is loaded but its node was not made. Vulkan and EGL in containers want it.",
    fix=("sudo nvidia-modprobe -m", "sudo gpudock refresh"),
    messages=("vkCreateInstance failed with ERROR_INCOMPATIBLE_DRIVER",),
    references=("NVIDIA/nvidia-container-toolkit#1611",),
)
def modeset_node_missing(machine: Snapshot) -> Iterator[str]:
    loaded = {each.name for each in machine.modules}
    if machine.gpus and "nvidia_modeset" in loaded and "/dev/nvidia-modeset" not in _paths(machine):
        yield "the module nvidia_modeset is loaded, the node is not there"


@check(
    CHECKS,
    "char-links",
    WARNING,
    "Links in /dev/char are missing: containers can lose their GPUs",
    cause="systemd knows devices by /dev/char/MAJOR:MINOR. Without these links it forgets the GPUs of running "
    "containers "
    "at the next daemon-reload (runc 1.1.3 to 1.1.6, and older drivers that make no links).",
    fix=(
        "sudo nvidia-ctk system create-dev-char-symlinks --create-all",
        "# for good: a udev rule that runs it when the module nvidia is added",
    ),
    messages=("Failed to initialize NVML: Unknown Error",),
    references=("NVIDIA/nvidia-container-toolkit#48", "NVIDIA/nvidia-docker#1730", "opencontainers/runc#3708"),
)
def char_links(machine: Snapshot) -> Iterator[str]:
    systemd = any(engine.cgroup_driver == "systemd" for engine in working(machine))
    missing = setup(machine).char_links_missing
    if missing and systemd and machine.system.cgroup_version == 2:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        yield f"{', '.join(missing[:3])}{more}; cgroup version 2 under systemd"


@check(
    CHECKS,
    "xid",
    WARNING,
    "The driver reported errors of a GPU",
    cause="Xid lines in the kernel log of this boot. 13, 31, 43 and 45 are mostly faults of programs, the others of "
    "hardware or driver.",
    fix=("sudo dmesg | grep 'NVRM: Xid'", "nvidia-smi -q -d ECC,ROW_REMAPPER,PERFORMANCE"),
    messages=("NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.",),
    references=("https://docs.nvidia.com/deploy/xid-errors/index.html",),
)
def xid(machine: Snapshot) -> Iterator[Seen]:
    errors = setup(machine).xids
    for each in () if isinstance(errors, Missing) else errors:
        meaning = _XIDS.get(each.code, "see the table of Xid errors")
        times = f", {each.count} times" if each.count > 1 else ""
        note = NOTE if each.code in _PROGRAMS_FAULT else ""
        yield Seen(f"Xid {each.code} on {each.bus_id}{times}: {meaning}", severity=note)


@check(
    CHECKS,
    "mig-undivided",
    WARNING,
    "MIG is on, but the GPU is not divided",
    cause="A GPU in MIG mode can be used through its instances only, and it has none. They do not survive a reboot.",
    fix=(
        "sudo nvidia-smi mig -lgip    # the profiles",
        "sudo nvidia-smi mig -cgi PROFILE -C",
        "sudo gpudock refresh",
        "# or without MIG: sudo nvidia-smi -mig 0",
    ),
    messages=("CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected", "No MIG devices found."),
)
def mig_undivided(machine: Snapshot) -> Iterator[str]:
    for gpu in machine.gpus:
        if gpu.mig is True and not gpu.instances:
            yield f"GPU {gpu.index} has MIG on and no instance"


@check(
    CHECKS,
    "mig-nodes",
    ERROR,
    "A MIG instance has no device node",
    cause="The nodes in /dev/nvidia-caps are made on first use by root, and not in containers.",
    fix=("sudo nvidia-modprobe -c 0 -u", "nvidia-smi -L", "sudo gpudock refresh"),
    messages=("CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected",),
)
def mig_nodes(machine: Snapshot) -> Iterator[str]:
    rights = {each.name: each.minor for each in machine.kernel_driver.capabilities}
    for gpu in machine.gpus:
        for each in gpu.instances:
            for name in (f"gpu{gpu.minor}/gi{each.gi}/access", f"gpu{gpu.minor}/gi{each.gi}/ci{each.ci}/access"):
                path = f"/dev/nvidia-caps/nvidia-cap{rights[name]}" if name in rights else ""
                if path and path not in _paths(machine):
                    yield f"{path} is missing, for {gpu.index}:{each.index}"


@check(
    CHECKS,
    "persistence",
    NOTE,
    "The driver forgets the GPUs while nobody uses them",
    cause="Without persistence mode a GPU is set up anew by each first program: 2 to 3 seconds, and on machines "
    "with many "
    "GPUs a time limit is hit.",
    fix=("sudo systemctl enable --now nvidia-persistenced", "sudo nvidia-smi -pm 1    # until the next reboot"),
    messages=("nvidia-container-cli: initialization error: driver rpc error: timed out",),
    references=(
        "NVIDIA/nvidia-container-toolkit#202",
        "NVIDIA/nvidia-docker#1279",
        "NVIDIA/nvidia-docker#723",
        "NVIDIA/nvidia-docker#628",
    ),
    mend=lambda _: iter(
        [Mend(("nvidia-smi", "-pm", "1"), "keeps the GPUs set up until the next reboot", "sudo nvidia-smi -pm 0")]
    ),
)
def persistence(machine: Snapshot) -> Iterator[str]:
    off = [str(gpu.index) for gpu in machine.gpus if gpu.persistence is False]
    if off and not machine.system.wsl:
        yield f"persistence mode is off on GPU {', '.join(off)}"


@check(
    CHECKS,
    "fabric-manager",
    ERROR,
    "NVSwitch is here, nvidia-fabricmanager does not run",
    cause="On machines with NVSwitch, CUDA starts only after the fabric manager has set the switches up; its "
    "version must "
    "be the driver's own.",
    fix=(
        "sudo apt-get install nvidia-fabricmanager-BRANCH    # the driver's, such as 580",
        "sudo systemctl enable --now nvidia-fabricmanager",
    ),
    messages=("CUDA_ERROR_SYSTEM_NOT_READY", "system not yet initialized (error 802)", "cuInit failed: 802"),
    references=("https://docs.nvidia.com/datacenter/tesla/fabric-manager-user-guide/",),
)
def fabric_manager(machine: Snapshot) -> Iterator[str]:
    if not switches(machine):
        return
    if running(machine, "nv-fabricmanager") is False:
        yield f"{len(switches(machine))} NVSwitch functions on the bus, no nv-fabricmanager among the processes"
    loaded = module(machine)
    for each in packages(machine, r"nvidia-fabric-?manager(?:-\d{3})?"):
        version = each.version.rpartition(":")[2].partition("-")[0]
        if loaded and version != loaded:
            yield f"{each.name} is version {version}, the driver is {loaded}"


@check(
    CHECKS,
    "gpus-uncounted",
    WARNING,
    "CUDA's version is not known",
    cause="NVML answers, but does not tell the CUDA version; requirements of images cannot be checked.",
    fix=("nvidia-smi    # what does it say?", "sudo gpudock refresh"),
    messages=("NVIDIA_REQUIRE_CUDA of the image was not fully checked",),
)
def cuda_unknown(machine: Snapshot) -> Iterator[str]:
    if isinstance(machine.nvml, Nvml) and isinstance(machine.nvml.cuda, Missing):
        yield machine.nvml.cuda.reason
