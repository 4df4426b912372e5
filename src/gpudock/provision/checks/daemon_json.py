"""What docker was told in daemon.json and by flags, and whether it took it."""

from collections.abc import Iterator
from shlex import quote

from gpudock.facts.base import Missing
from gpudock.facts.engine import Engine
from gpudock.facts.snapshot import Snapshot
from gpudock.provision.check import ERROR, NOTE, WARNING, Check, Seen, check
from gpudock.provision.machine import engines, named, setup, toolkit, working

CHECKS: list[Check] = []
RESTART = ("sudo systemctl restart docker    # containers stop, unless live-restore is on",)
_GPU_RUNTIMES = ("gpudock", "nvidia")
_MERGED = {"runtimes", "storage-opts", "log-opts"}  # docker takes these from both
_ALSO_KEYS = {  # key of daemon.json -> the flag, where they differ
    "runtimes": "add-runtime",
    "hosts": "host",
    "insecure-registries": "insecure-registry",
    "registry-mirrors": "registry-mirror",
    "storage-opts": "storage-opt",
    "exec-opts": "exec-opt",
    "log-opts": "log-opt",
    "labels": "label",
    "default-ulimits": "default-ulimit",
    "features": "feature",
}


@check(
    CHECKS,
    "daemon-json-broken",
    ERROR,
    "Docker cannot read its daemon.json",
    cause="A comma too many, a comment, or an empty file. The running daemon goes on with what it read before; it "
    "will not "
    "start again.",
    fix=("python3 -m json.tool PATH    # says where", "sudo dockerd --validate --config-file PATH"),
    messages=(
        "unable to configure the Docker daemon with file /etc/docker/daemon.json: invalid character",
        "unable to configure the Docker daemon with file /etc/docker/daemon.json: EOF",
    ),
    references=("NVIDIA/nvidia-container-toolkit#150",),
)
def daemon_json_broken(machine: Snapshot) -> Iterator[Seen]:
    told: dict[str, str] = {}
    for engine in engines(machine, "docker"):
        if engine.config_error:
            told[engine.config_path or "daemon.json"] = engine.config_error
    for file in setup(machine).daemon_jsons:
        if file.error:
            told.setdefault(file.path, file.error)
    for path, error in told.items():
        fix = (f"python3 -m json.tool {quote(path)}", f"sudo dockerd --validate --config-file {quote(path)}")
        yield Seen(f"{path}: {error}", fix)


@check(
    CHECKS,
    "daemon-json-flags",
    ERROR,
    "A setting stands in daemon.json and on dockerd's command line",
    cause="Docker refuses to start when one setting is given twice; units of distributions bring flags of their own.",
    fix=(
        "systemctl cat docker    # the flags",
        "sudo systemctl edit docker    # an empty ExecStart= and one without that flag",
        *RESTART,
    ),
    messages=(
        (
            "unable to configure the Docker daemon with file /etc/docker/daemon.json: the following directives are "
            "specified "
            "both as a flag and in the configuration file"
        ),
    ),
)
def daemon_json_flags(machine: Snapshot) -> Iterator[str]:
    daemon = setup(machine).dockerd
    read = {engine.config_path for engine in engines(machine, "docker")}
    for file in setup(machine).daemon_jsons if daemon else ():
        flags = daemon.flags if daemon else ()
        twice = [key for key in file.keys if _ALSO_KEYS.get(key, key) in flags and key not in _MERGED]
        if twice and file.path in read:
            yield f"{file.path} and dockerd's flags: {', '.join(twice)}"


@check(
    CHECKS,
    "daemon-json-unused",
    WARNING,
    "Docker does not know a runtime that its daemon.json names",
    cause="The daemon was not reloaded since the file was changed.",
    fix=("sudo systemctl reload docker", *RESTART),
    messages=("docker: Error response from daemon: unknown or invalid runtime name: nvidia.",),
    references=("NVIDIA/nvidia-container-toolkit#150", "NVIDIA/nvidia-docker#501", "NVIDIA/nvidia-docker#542"),
)
def daemon_json_unused(machine: Snapshot) -> Iterator[str]:
    for engine in working(machine, "docker"):
        for file in setup(machine).daemon_jsons:
            unknown = [name for name in file.runtimes if name not in engine.runtimes]
            if file.path == engine.config_path and unknown:
                yield f"{file.path} names {', '.join(unknown)}; docker knows {', '.join(engine.runtimes)}"
            if file.path == engine.config_path and file.cdi is True and engine.cdi is False:
                yield f"{file.path} switches CDI on; docker says it is off"


@check(
    CHECKS,
    "daemon-json-elsewhere",
    WARNING,
    "A daemon.json that docker does not read names the GPU runtime",
    cause="Rootless docker reads ~/.config/docker/daemon.json, a snap its own; /etc/docker/daemon.json is for the "
    "others.",
    fix=("gpudock configure docker    # without sudo for a rootless docker: writes the file that it reads",),
    messages=("unknown or invalid runtime name: nvidia",),
    references=("NVIDIA/nvidia-docker#1795", "canonical/docker-snap#180"),
)
def daemon_json_elsewhere(machine: Snapshot) -> Iterator[str]:
    for engine in working(machine, "docker"):
        for file in setup(machine).daemon_jsons:
            names = [name for name in file.runtimes if name in _GPU_RUNTIMES and name not in engine.runtimes]
            if file.path != engine.config_path and names:
                yield f"{file.path} names {', '.join(names)}; {named(engine)} reads {engine.config_path}"


@check(
    CHECKS,
    "runtime-gone",
    ERROR,
    "A runtime's program is not there",
    cause="The package was removed, the entry in daemon.json stayed. Containers of that runtime cannot start.",
    fix=("sudo gpudock configure docker --as NAME --restart    # gpudock's in its place", "# or remove the entry"),
    messages=(
        "failed to create shim task: OCI runtime create failed: unable to retrieve OCI runtime error",
        'exec: "nvidia-container-runtime": executable file not found in $PATH',
    ),
)
def runtime_gone(machine: Snapshot) -> Iterator[str]:
    known = {each.name for each in setup(machine).programs}
    for file in setup(machine).daemon_jsons:
        gone = [*file.missing_programs]
        gone += [path for path in file.runtimes.values() if path.startswith("nvidia-") and path not in known]
        if gone:
            yield f"{file.path} names {', '.join(gone)}"


@check(
    CHECKS,
    "default-runtime",
    NOTE,
    "Every container has the runtime that gives GPUs",
    cause="Images made for CUDA ask for all GPUs by themselves (ENV NVIDIA_VISIBLE_DEVICES=all), so whoever starts "
    "one has "
    "them all.",
    fix=(
        "docker run -e NVIDIA_VISIBLE_DEVICES=void …    # none, for this container",
        "sudo gpudock configure docker --strict --restart    # variables of unprivileged containers do not count",
    ),
    references=("NVIDIA/k8s-device-plugin#87", "NVIDIA/nvidia-container-toolkit#73", "kubernetes/kubernetes#81256"),
)
def default_runtime(machine: Snapshot) -> Iterator[str]:
    for engine in working(machine, "docker"):
        if engine.default_runtime in _GPU_RUNTIMES:
            told = toolkit(machine)
            if not (engine.default_runtime == "nvidia" and told and not told.accept_envvar):
                yield f"{named(engine)}: the default runtime is {engine.default_runtime}"


@check(
    CHECKS,
    "cgroup-driver",
    NOTE,
    "Docker manages control groups beside systemd",
    cause="With the driver cgroupfs under systemd two programs manage one tree; Kubernetes refuses that.",
    fix=('# "exec-opts": ["native.cgroupdriver=systemd"] in daemon.json, then:', *RESTART),
    messages=(
        'misconfiguration: kubelet cgroup driver: "systemd" is different from docker cgroup driver: "cgroupfs"',
        '[WARNING IsDockerSystemdCheck]: detected "cgroupfs" as the Docker cgroup driver',
    ),
)
def cgroup_driver(machine: Snapshot) -> Iterator[str]:
    for engine in working(machine, "docker"):
        if machine.system.init == "systemd" and machine.system.cgroup_version == 2 and _is_cgroupfs(engine):
            yield f"{named(engine)} uses cgroupfs, process 1 is systemd"


def _is_cgroupfs(engine: Engine) -> bool:
    return engine.cgroup_driver == "cgroupfs"


@check(
    CHECKS,
    "docker-userns",
    NOTE,
    "Docker remaps users",
    cause="Containers' root is an unprivileged user of the host. Images and containers of before are not seen, "
    "--privileged "
    "and --pid host need --userns=host, and files that containers write belong to that user.",
    fix=("docker run --userns=host …    # without, for this container",),
    messages=("privileged mode is incompatible with user namespaces",),
)
def docker_userns(machine: Snapshot) -> Iterator[str]:
    yield from (f"{named(engine)}: userns-remap is on" for engine in working(machine, "docker") if engine.userns)


@check(
    CHECKS,
    "subids",
    ERROR,
    "A user has no subordinate ids",
    cause="User namespaces (rootless engines, userns-remap) need lines for the user in /etc/subuid and /etc/subgid.",
    fix=("sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER", "podman system migrate"),
    messages=(
        "cannot find UID/GID for user: no subuid ranges found for user in /etc/subuid",
        "Can't create ID mappings: No subuid ranges found for user",
        "there might not be enough IDs available in the namespace",
    ),
)
def subids(machine: Snapshot) -> Iterator[Seen]:
    rootless = any(engine.rootless is True for engine in engines(machine) if not isinstance(engine.rootless, Missing))
    remaps = any(file.userns_remap for file in setup(machine).daemon_jsons)
    for each in setup(machine).subids:
        if (rootless or remaps) and min(each.uids, each.gids) < 65536:
            ranges = "--add-subuids 100000-165535 --add-subgids 100000-165535"
            fix = (f"sudo usermod {ranges} {quote(each.user)}    # or another range that nobody has",)
            yield Seen(f"{each.user}: {each.uids} subordinate uids, {each.gids} gids", fix)
