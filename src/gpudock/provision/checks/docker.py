"""Docker: that it runs, where it is, what it was told, and whether it took it."""

from collections.abc import Iterator

from gpudock.facts.snapshot import Snapshot
from gpudock.provision.check import ERROR, NOTE, WARNING, Check, Seen, check
from gpudock.provision.machine import engines, named, numbers, packages, program, setup, working

CHECKS: list[Check] = []
RESTART = ("sudo systemctl restart docker    # containers stop, unless live-restore is on",)
CONFIGURE = ("sudo gpudock configure docker --restart",)
OLDEST_DOCKER, FIRST_CDI = (19, 3), (25,)
_GPU_RUNTIMES = ("gpudock", "nvidia")


@check(
    CHECKS,
    "no-engine",
    ERROR,
    "There is no container engine",
    cause="Neither docker nor podman is on this user's PATH.",
    fix=("sudo gpudock install", "sudo apt-get install podman    # or only podman"),
    messages=("docker: command not found", "There is no container engine"),
)
def no_engine(machine: Snapshot) -> Iterator[str]:
    if isinstance(machine.engines, tuple) and not any(each.name in {"docker", "podman"} for each in machine.engines):
        yield "neither docker nor podman was found"


@check(
    CHECKS,
    "docker-stopped",
    ERROR,
    "Docker does not answer",
    cause="The daemon does not run, or it stopped because it cannot read its configuration.",
    fix=("sudo systemctl start docker", "sudo journalctl -u docker -n 30    # why it does not start"),
    messages=("Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",),
)
def docker_stopped(machine: Snapshot) -> Iterator[Seen]:
    alone = len([each for each in engines(machine) if each.name in {"docker", "podman"} and not each.problem]) == 0
    for engine in engines(machine, "docker"):
        if engine.problem and not engine.remote and "permission denied" not in engine.problem.lower():
            yield Seen(engine.problem, severity="" if alone else WARNING)


@check(
    CHECKS,
    "docker-forbidden",
    WARNING,
    "You may not use docker",
    cause="The daemon's socket is for root and the group docker.",
    fix=(
        'sudo usermod -aG docker "$USER"    # makes you as powerful as root; log in again afterwards',
        "# or without that power: rootless podman, rootless docker",
    ),
    messages=("permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock",),
)
def docker_forbidden(machine: Snapshot) -> Iterator[str]:
    for engine in engines(machine, "docker"):
        if engine.problem and "permission denied" in engine.problem.lower():
            yield engine.problem


@check(
    CHECKS,
    "docker-group",
    NOTE,
    "Members of the group docker are as powerful as root",
    cause="Whoever may start containers may mount / and take any GPU, whatever gpudock hands out: nothing here "
    "enforces "
    "who gets which GPU.",
    fix=("getent group docker", "sudo gpasswd -d USER docker    # take somebody out"),
    references=("https://docs.docker.com/engine/security/#docker-daemon-attack-surface",),
)
def docker_group(machine: Snapshot) -> Iterator[str]:
    members = setup(machine).docker_group
    if isinstance(members, tuple) and members and engines(machine, "docker"):
        yield f"{len(members)} member{'s' * (len(members) > 1)}: {', '.join(members[:8])}"


@check(
    CHECKS,
    "docker-context",
    WARNING,
    "The docker command talks to a docker elsewhere",
    cause="A context, or DOCKER_HOST, names another machine or Docker Desktop's virtual one. That has its own "
    "GPUs, or none.",
    fix=("docker context ls", "docker context use default", "unset DOCKER_HOST DOCKER_CONTEXT"),
    messages=(
        'could not select device driver "" with capabilities: [[gpu]]',
        "load library failed: libnvidia-ml.so.1",
        "unknown or invalid runtime name: nvidia",
    ),
    references=("NVIDIA/nvidia-docker#1711", "NVIDIA/nvidia-docker#1637", "NVIDIA/nvidia-docker#1795"),
)
def docker_context(machine: Snapshot) -> Iterator[str]:
    if machine.system.wsl:
        return
    for engine in engines(machine, "docker"):
        if engine.desktop:
            yield f"context {engine.context or 'default'} is Docker Desktop, which has no GPUs on Linux"
        elif engine.remote:
            yield f"context {engine.context or 'default'} is another machine"


@check(
    CHECKS,
    "snap-docker",
    WARNING,
    "Docker comes from a snap",
    cause="A snap sees neither the driver's files nor NVIDIA's programs, and reads another daemon.json. Beside a "
    "docker of "
    "packages it answers in its place.",
    fix=(
        "sudo snap remove docker    # with its images and containers: save what you need first",
        "sudo gpudock install",
    ),
    messages=(
        "load library failed: libnvidia-ml.so.1",
        'could not select device driver "" with capabilities: [[gpu]]',
        "unknown or invalid runtime name: nvidia",
    ),
    references=("canonical/docker-snap#148", "canonical/docker-snap#180", "NVIDIA/nvidia-docker#1647"),
)
def snap_docker(machine: Snapshot) -> Iterator[str]:
    by_program = [each.program for each in engines(machine, "docker") if "/snap/" in each.program]
    if by_program or setup(machine).snap_docker:
        beside = packages(machine, r"docker\.io|docker-ce|moby-engine")
        yield (by_program or ["/snap/docker is there"])[0] + (f", beside {beside[0].name}" if beside else "")


@check(
    CHECKS,
    "docker-too-old",
    ERROR,
    "Docker is too old for GPUs",
    cause="--gpus came with docker 19.03, CDI with docker 25.",
    fix=("sudo gpudock install    # a current docker",),
    messages=("unknown flag: --gpus",),
)
def docker_too_old(machine: Snapshot) -> Iterator[str]:
    for engine in working(machine, "docker"):
        version = numbers(engine.version)
        if version and version < OLDEST_DOCKER:
            yield named(engine)


@check(
    CHECKS,
    "docker-no-way",
    ERROR,
    "Docker has no way to give a container a GPU",
    cause="CDI is off or this docker is older than 25, and no runtime that knows GPUs is configured.",
    fix=CONFIGURE,
    messages=(
        'could not select device driver "" with capabilities: [[gpu]]',
        "nvidia.com/gpu=all is not an absolute path",
        "unknown or invalid runtime name: nvidia",
    ),
    references=("NVIDIA/nvidia-docker#1243", "NVIDIA/nvidia-docker#1352", "moby/moby#50228"),
)
def docker_no_way(machine: Snapshot) -> Iterator[str]:
    for engine in working(machine, "docker"):
        runtimes = [name for name in engine.runtimes if name in _GPU_RUNTIMES or name.startswith("nvidia-")]
        hook = program(machine, "nvidia-container-runtime-hook", "nvidia-container-toolkit")
        if engine.cdi is False and not runtimes and not hook:
            why = "CDI is off" if numbers(engine.version) >= FIRST_CDI else "it is too old for CDI"
            yield f"{named(engine)}: {why}; its runtimes are {', '.join(engine.runtimes) or 'none'}"


@check(
    CHECKS,
    "docker-started-before",
    WARNING,
    "NVIDIA's hook came after docker was started",
    cause="For --gpus, dockerd looks for the hook's program once, when it starts.",
    fix=RESTART,
    messages=('could not select device driver "" with capabilities: [[gpu]]',),
    references=("NVIDIA/nvidia-docker#1352", "NVIDIA/nvidia-docker#1642", "NVIDIA/nvidia-docker#1470"),
)
def docker_started_before(machine: Snapshot) -> Iterator[str]:
    daemon, hook = setup(machine).dockerd, program(machine, "nvidia-container-runtime-hook", "nvidia-cdi-hook")
    if daemon and hook and hook.changed > daemon.started and working(machine, "docker"):
        yield f"{hook.path} is newer than the running dockerd"


@check(
    CHECKS,
    "podman-too-old",
    ERROR,
    "Podman is too old for GPUs",
    cause="CDI came with podman 4.1; what --gpus does came with podman 5.",
    fix=("# take podman 4.1 or newer, or docker 25 or newer",),
    messages=("Error: stat nvidia.com/gpu=all: no such file or directory",),
    references=("containers/podman#19338",),
)
def podman_too_old(machine: Snapshot) -> Iterator[str]:
    yield from (named(engine) for engine in working(machine, "podman") if engine.cdi is False)


@check(
    CHECKS,
    "podman-broken",
    WARNING,
    "Podman does not work",
    cause="Its storage or its configuration is in a bad state; the message is podman's own.",
    fix=("podman info", "podman system migrate"),
    messages=("current system boot ID differs from cached boot ID; an unhandled reboot has occurred",),
)
def podman_broken(machine: Snapshot) -> Iterator[str]:
    for engine in engines(machine, "podman"):
        if engine.problem or engine.config_error:
            yield engine.problem or f"{engine.config_error}"


@check(
    CHECKS,
    "compose-too-old",
    WARNING,
    "docker compose is too old for GPUs",
    cause="The reservation of devices came with docker-compose 1.28, `gpus:` with docker compose 2.30.",
    fix=("sudo apt-get install docker-compose-plugin", "gpudock compose up    # puts the GPUs in for any compose"),
    messages=(
        (
            "services.app.deploy.resources.reservations value Additional properties are not allowed ('devices' was "
            "unexpected)"
        ),
        "services.app Additional property gpus is not allowed",
    ),
    references=("docker/compose#6691", "docker/compose#8569", "containers/podman#28436"),
)
def compose_too_old(machine: Snapshot) -> Iterator[str]:
    old = numbers(setup(machine).compose_v1)
    if old and old < (1, 28):
        yield f"docker-compose {setup(machine).compose_v1}"
    for engine in working(machine, "docker"):
        version = numbers(engine.compose)
        if version and version < (2, 3):
            yield f"docker compose {engine.compose}"
