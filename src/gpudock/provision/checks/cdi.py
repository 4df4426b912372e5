"""CDI specifications: that there is one, that engines can read it, and that it fits the machine."""

import posixpath
from collections.abc import Iterator
from itertools import combinations
from shlex import quote

from gpudock.facts.base import Missing
from gpudock.facts.engine import CdiSpecFile
from gpudock.facts.setup import SpecState
from gpudock.facts.snapshot import Snapshot
from gpudock.provision.check import ERROR, NOTE, WARNING, Check, Mend, Seen, check
from gpudock.provision.machine import GPU_KIND, driver, named, numbers, setup, toolkit, working

CHECKS: list[Check] = []
REFRESH = ("sudo gpudock refresh",)
NVIDIAS = ("sudo nvidia-ctk cdi generate --output=PATH    # or let gpudock take over: sudo gpudock refresh --adopt",)
_UNRESOLVABLE = (
    "unresolvable CDI devices nvidia.com/gpu=all",
    "failed to inject CDI devices: unresolvable CDI devices nvidia.com/gpu=all: unknown",
)
_PODMAN_NEWEST_SPEC = (((4, 1), None), ((5, 0), (0, 6, 0)))  # below this podman -> newest cdiVersion that it reads
_LOADER = ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/local/nvidia")
_CONTROL = ("/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidia-modeset")


def _gpu_specs(machine: Snapshot) -> list[CdiSpecFile]:
    return [spec for spec in machine.cdi_specs if spec.kind == GPU_KIND]


def _is_ours(machine: Snapshot, path: str) -> bool:
    return any(spec.path == path and spec.plan for spec in machine.cdi_specs)


def _foreign(machine: Snapshot) -> list[SpecState]:
    return [state for state in setup(machine).specs if not _is_ours(machine, state.path)]


def _refresh(machine: Snapshot) -> Iterator[Mend]:
    if not machine.roots.simulated:
        yield Mend(
            ("gpudock", "refresh"),
            "makes driver tree, plan and specification anew",
            "not needed: they are made from the machine, and made again at any time",
        )


@check(
    CHECKS,
    "cdi-missing",
    ERROR,
    "There is no CDI specification of the GPUs",
    cause="Nobody made one since the machine was booted: /var/run is empty then.",
    fix=("sudo gpudock refresh --install-units    # now, and from now on at each boot",),
    messages=(*_UNRESOLVABLE, "The GPUs of this machine are not set up for containers yet"),
    references=("NVIDIA/nvidia-container-toolkit#146", "NVIDIA/nvidia-container-toolkit#434"),
    mend=_refresh,
)
def cdi_missing(machine: Snapshot) -> Iterator[str]:
    readers = [engine for engine in working(machine) if engine.cdi is True]
    by_runtime = any(name in {"nvidia", "gpudock"} for engine in readers for name in engine.runtimes)
    if machine.gpus and readers and not _gpu_specs(machine) and not by_runtime:
        folders = dict.fromkeys(folder for engine in readers for folder in engine.cdi_folders)
        yield f"no specification of {GPU_KIND} in {', '.join(folders)}"


@check(
    CHECKS,
    "cdi-broken",
    ERROR,
    "A CDI specification cannot be read",
    cause="The file is cut off, no YAML or JSON, or lacks what a specification must have. Engines ignore it.",
    fix=REFRESH,
    messages=_UNRESOLVABLE,
    references=("NVIDIA/nvidia-container-toolkit#1239",),
)
def cdi_broken(machine: Snapshot) -> Iterator[str]:
    for spec in machine.cdi_specs:
        if isinstance(spec.kind, Missing):
            yield f"{spec.path}: {spec.kind.reason}"


def _open(machine: Snapshot) -> Iterator[Mend]:
    for state in setup(machine).specs:
        if not state.mode & 0o004:
            yield Mend(
                ("chmod", "a+r", "--", state.path),
                f"lets all users read {state.path}",
                f"sudo chmod {state.mode:o} {quote(state.path)}",
            )


@check(
    CHECKS,
    "cdi-unreadable",
    WARNING,
    "Users cannot read the CDI specification",
    cause="It was written with a closed umask. Rootless engines, and clients that look for devices, find nothing.",
    fix=("sudo chmod a+r PATH",),
    messages=_UNRESOLVABLE,
    references=("NVIDIA/nvidia-container-toolkit#1940", "NVIDIA/nvidia-container-toolkit#63"),
    mend=_open,
)
def cdi_unreadable(machine: Snapshot) -> Iterator[Seen]:
    for state in setup(machine).specs:
        if not state.mode & 0o004:
            yield Seen(f"{state.path} has mode {state.mode:o}", (f"sudo chmod a+r {quote(state.path)}",))


@check(
    CHECKS,
    "cdi-unseen",
    ERROR,
    "An engine does not look where the CDI specification is",
    cause="The engine was told of other folders: cdi-spec-dirs in daemon.json, --cdi-spec-dir, containers.conf.",
    fix=("sudo gpudock refresh    # writes to /var/run/cdi", "# and name /etc/cdi and /var/run/cdi to the engine"),
    messages=_UNRESOLVABLE,
    references=("NVIDIA/nvidia-container-toolkit#1853",),
)
def cdi_unseen(machine: Snapshot) -> Iterator[str]:
    homes = {_folder(spec.path) for spec in _gpu_specs(machine)}
    for engine in working(machine):
        folders = {_plain(folder) for folder in engine.cdi_folders}
        if homes and engine.cdi is True and folders and not homes & folders:
            yield f"{named(engine)} reads {', '.join(engine.cdi_folders)}; it is in {', '.join(sorted(homes))}"


def _folder(path: str) -> str:
    return _plain(posixpath.dirname(path))


def _plain(folder: str) -> str:
    """/var/run is /run everywhere."""
    return folder.removeprefix("/var") if folder.startswith("/var/run/") else folder


@check(
    CHECKS,
    "cdi-too-new",
    ERROR,
    "The CDI specification is too new for an engine",
    cause="Podman before 5.0 reads specifications up to 0.6.0, and ignores newer ones without a word. NVIDIA's toolkit "
    "1.19.1 and newer writes 0.7.0 for the nodes' groups.",
    fix=(
        "sudo gpudock refresh --adopt    # writes the oldest version that says what is needed",
        "sudo nvidia-ctk cdi generate --feature-flag no-additional-gids-for-device-nodes --output=PATH",
    ),
    messages=_UNRESOLVABLE,
    references=("NVIDIA/nvidia-container-toolkit#1940", "NixOS/nixpkgs#420638"),
)
def cdi_too_new(machine: Snapshot) -> Iterator[str]:
    for engine in working(machine, "podman"):
        version = numbers(engine.version)
        newest = next((spec for below, spec in _PODMAN_NEWEST_SPEC if version and version[:2] < below), None)
        for spec in _gpu_specs(machine) if newest else ():
            if newest and numbers(spec.version) > newest:
                yield f"{spec.path} has cdiVersion {spec.version}; {named(engine)} reads up to 0.6.0"


@check(
    CHECKS,
    "cdi-stale",
    ERROR,
    "The CDI specification does not fit the machine any more",
    cause="The driver, a device number or a GPU changed since it was made: after an upgrade, a reboot, or a change "
    "of MIG.",
    fix=REFRESH,
    messages=(
        'failed to stat CDI host device "/dev/dri/renderD129": no such file or directory',
        "error mounting libcuda.so: no such file or directory",
        "gpudock-hook: The start plan no longer fits this machine",
        "cuInit failed: 999",
    ),
    references=(
        "NVIDIA/nvidia-container-toolkit#450",
        "NVIDIA/nvidia-container-toolkit#1934",
        "NVIDIA/nvidia-container-toolkit#885",
        "HaveAGitGat/Tdarr#1423",
    ),
    mend=lambda machine: _refresh(machine) if any(_wrong_of_ours(machine)) else iter(()),
)
def cdi_stale(machine: Snapshot) -> Iterator[Seen]:
    for state in setup(machine).specs:
        ours = _is_ours(machine, state.path)
        fix = (
            ()
            if ours
            else (f"sudo nvidia-ctk cdi generate --output={quote(state.path)}", "# or: sudo gpudock refresh --adopt")
        )
        for wrong in _wrong(machine, state):
            yield Seen(f"{state.path}: {wrong}", fix)


def _wrong_of_ours(machine: Snapshot) -> Iterator[str]:
    """Only our own specification is made anew by refresh."""
    for state in setup(machine).specs:
        if _is_ours(machine, state.path):
            yield from _wrong(machine, state)


def _wrong(machine: Snapshot, state: SpecState) -> Iterator[str]:
    if state.stale:
        yield state.stale
        return
    if state.missing:
        more = f" and {len(state.missing) - 1} more" if len(state.missing) > 1 else ""
        yield f"{state.missing[0]}{more} does not exist"
    yield from state.wrong_nodes[:3]
    loaded = driver(machine)
    others = [version for version in state.drivers if loaded and version != loaded]
    if others and not machine.system.wsl:
        yield f"it names files of driver {', '.join(others)}, loaded is {loaded}"
    spec = next((each for each in machine.cdi_specs if each.path == state.path), None)
    names = set(spec.devices) if spec else set()
    for gpu in machine.gpus:
        known = {str(gpu.index), f"gpu{gpu.index}", gpu.uuid, *(f"{gpu.index}:{each.index}" for each in gpu.instances)}
        if names and not known & names and not machine.system.wsl and not (gpu.mig is True and not gpu.instances):
            yield f"it has no device for GPU {gpu.index}"


@check(
    CHECKS,
    "cdi-twice",
    ERROR,
    "Two CDI specifications define the same GPUs",
    cause="Both NVIDIA's toolkit and gpudock, or two versions of one, have written. In one folder engines refuse "
    "both; in "
    "two, the file in /var/run/cdi hides the one in /etc/cdi.",
    fix=("sudo gpudock refresh --adopt    # sets the other one aside; --undo gives it back",),
    messages=('conflicting device "nvidia.com/gpu=0"', "… define the same devices"),
    references=("NVIDIA/nvidia-container-toolkit#885",),
)
def cdi_twice(machine: Snapshot) -> Iterator[Seen]:
    for one, other in combinations(_gpu_specs(machine), 2):
        if not set(one.devices) & set(other.devices):
            continue
        if _folder(one.path) == _folder(other.path):
            yield Seen(f"{one.path} and {other.path}")
        else:
            hidden, seen = sorted((one.path, other.path), key=lambda path: _folder(path) == "/run/cdi")
            yield Seen(f"{seen} hides {hidden}", (f"sudo rm {quote(hidden)}    # when nobody needs it",), WARNING)


@check(
    CHECKS,
    "cdi-incomplete",
    WARNING,
    "The CDI specification lacks device nodes that are there",
    cause="It was made at boot before all of the driver was loaded: nvidia-cdi-refresh can be too early.",
    fix=REFRESH,
    messages=("vkCreateInstance failed with ERROR_INCOMPATIBLE_DRIVER", "CUDA_ERROR_UNKNOWN: unknown error"),
    references=(
        "NVIDIA/nvidia-container-toolkit#1611",
        "NVIDIA/nvidia-container-toolkit#1982",
        "NVIDIA/nvidia-container-toolkit#1517",
        "NixOS/nixpkgs#353059",
    ),
)
def cdi_incomplete(machine: Snapshot) -> Iterator[Seen]:
    there = {node.host: node.path for node in machine.nodes}
    for state in setup(machine).specs:
        named_nodes = {there.get(path, path) for path in state.nodes}
        lacking = [path for path in _CONTROL if path in there.values() and path not in named_nodes]
        if lacking and state.nodes:
            fix = () if _is_ours(machine, state.path) else (NVIDIAS[0].replace("PATH", quote(state.path)),)
            yield Seen(f"{state.path} lacks {', '.join(lacking)}", fix)


@check(
    CHECKS,
    "cdi-chmod-hook",
    WARNING,
    "The CDI specification has a chmod hook, and podman is rootless",
    cause="nvidia-ctk's chmod hook fails where the container has a user namespace with --userns=keep-id or mounts "
    "on /dev.",
    fix=("sudo nvidia-ctk cdi generate --disable-hook chmod --output=PATH", "# or: sudo gpudock refresh --adopt"),
    messages=("error executing hook `/usr/bin/nvidia-cdi-hook` (exit code: 1)",),
    references=(
        "NVIDIA/nvidia-container-toolkit#648",
        "NVIDIA/nvidia-container-toolkit#46",
        "NVIDIA/nvidia-container-toolkit#143",
        "containers/crun#1673",
    ),
)
def cdi_chmod_hook(machine: Snapshot) -> Iterator[str]:
    if any(engine.rootless is True for engine in working(machine, "podman")):
        yield from (f"{state.path} runs chmod" for state in _foreign(machine) if "chmod" in state.hooks)


@check(
    CHECKS,
    "cdi-folders",
    NOTE,
    "Libraries come to containers in an unusual folder",
    cause="NVIDIA's toolkit keeps the host's folder since 1.18. Programs that look in fixed places (Plex, games) "
    "then do "
    "not find NVENC or Vulkan.",
    fix=("sudo gpudock refresh --adopt    # one folder, and links at the usual places",),
    messages=("dlopen failed: libnvidia-encode.so.1", "Cannot load libnvcuvid.so.1"),
    references=(
        "NVIDIA/nvidia-container-toolkit#1456",
        "NVIDIA/nvidia-container-toolkit#1743",
        "linuxserver/docker-plex#432",
    ),
)
def cdi_folders(machine: Snapshot) -> Iterator[str]:
    for state in _foreign(machine):
        odd = [each for each in state.folders if not _is_usual(each)]
        if odd:
            yield f"{state.path}: {', '.join(odd[:2])}"


def _is_usual(folder: str) -> bool:
    parent, _, name = folder.rpartition("/")
    return folder in _LOADER or (parent in {"/usr/lib", "/lib"} and name.endswith("-linux-gnu")) or "/vdpau" in folder


@check(
    CHECKS,
    "cdi-part",
    NOTE,
    "The CDI specification leaves a part of the driver out",
    cause="NVIDIA's toolkit writes no 32-bit libraries and no socket of nvidia-persistenced or MPS into it.",
    fix=("sudo gpudock refresh --adopt --capabilities compute,utility,compat32",),
    messages=("wrong ELF class: ELFCLASS64", "MPS client failed to connect to the MPS control daemon"),
    references=(
        "NVIDIA/nvidia-container-toolkit#1968",
        "NVIDIA/nvidia-container-toolkit#2035",
        "NVIDIA/nvidia-docker#1690",
        "NVIDIA/k8s-device-plugin#1598",
    ),
)
def cdi_part(machine: Snapshot) -> Iterator[str]:
    facts = setup(machine)
    services = facts.services if isinstance(facts.services, tuple) else ()
    for state in _foreign(machine):
        if facts.libraries_32_bit and not state.has_32_bit:
            yield f"{state.path} has no 32-bit libraries, the driver has"
        if "nvidia-persistenced" in services and not state.sockets and toolkit(machine):
            yield f"{state.path} has no socket of nvidia-persistenced, which runs"
