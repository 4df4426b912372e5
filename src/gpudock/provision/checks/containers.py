"""Containers that run now, and what nvidia-docker 1 left."""

from collections.abc import Iterator
from shlex import quote

from gpudock.facts.container import ContainerFact
from gpudock.facts.snapshot import Snapshot
from gpudock.provision.check import ERROR, NOTE, WARNING, Check, Seen, check
from gpudock.provision.machine import containers, module, packages, running

CHECKS: list[Check] = []


def _name(container: ContainerFact) -> str:
    return f"{container.name or container.id} ({container.engine})"


def _again(container: ContainerFact) -> tuple[str, ...]:
    return (f"{container.engine} restart {quote(container.name or container.id)}",)


@check(
    CHECKS,
    "container-lost-gpu",
    ERROR,
    "A running container has lost its GPUs",
    cause="Its control group forbids the nodes that it has: after systemctl daemon-reload, when the devices were "
    "allowed "
    "behind systemd's back.",
    fix=("docker restart CONTAINER", "# so that it does not come back: see daemon-reload"),
    messages=("Failed to initialize NVML: Unknown Error", "CUDA error: unknown error", "GPU access blocked"),
    references=(
        "NVIDIA/nvidia-container-toolkit#48",
        "NVIDIA/nvidia-container-toolkit#1227",
        "NVIDIA/nvidia-container-toolkit#1744",
        "NVIDIA/nvidia-docker#1671",
    ),
)
def lost(machine: Snapshot) -> Iterator[Seen]:
    for each in containers(machine):
        if each.running and each.refused:
            yield Seen(f"{_name(each)} may not open {', '.join(each.refused[:4])}", _again(each))


@check(
    CHECKS,
    "containers-unseen",
    WARNING,
    "An engine did not list its containers",
    cause="It was busy or is hanging. Whether containers of its have lost their GPUs is not known.",
    fix=("docker ps --all", "gpudock doctor"),
    messages=("Cannot connect to the Docker daemon", "context deadline exceeded"),
)
def unseen(machine: Snapshot) -> Iterator[str]:
    yield from machine.unlisted


@check(
    CHECKS,
    "container-will-lose-gpu",
    WARNING,
    "A running container loses its GPUs at the next daemon-reload",
    cause="systemd's own list of the container's devices does not have them.",
    fix=("# start it with --device nvidia.com/gpu=…, or by gpudock run; see daemon-reload",),
    messages=("Failed to initialize NVML: Unknown Error",),
    references=("NVIDIA/nvidia-container-toolkit#48", "NVIDIA/nvidia-docker#1730"),
)
def forgotten(machine: Snapshot) -> Iterator[str]:
    for each in containers(machine):
        if each.running and each.forgotten and not each.refused:
            yield f"{_name(each)}: 50-DeviceAllow.conf of its scope names no NVIDIA device"


@check(
    CHECKS,
    "container-old-node",
    ERROR,
    "A running container has a node that leads nowhere",
    cause="The driver was loaded anew, and a device has another number since.",
    fix=("docker restart CONTAINER",),
    messages=("cuInit failed: 999", "CUDA_ERROR_UNKNOWN: unknown error"),
    references=("NVIDIA/nvidia-container-toolkit#1934",),
)
def renumbered(machine: Snapshot) -> Iterator[Seen]:
    for each in containers(machine):
        for wrong in each.renumbered if each.running else ():
            yield Seen(f"{_name(each)}: {wrong}", _again(each))


@check(
    CHECKS,
    "container-old-driver",
    ERROR,
    "A running container has the files of another driver",
    cause="The driver was upgraded and its module loaded anew while the container ran.",
    fix=("docker restart CONTAINER",),
    messages=("Failed to initialize NVML: Driver/library version mismatch",),
    references=("NVIDIA/nvidia-container-toolkit#394",),
)
def old_driver(machine: Snapshot) -> Iterator[Seen]:
    loaded = module(machine)
    for each in containers(machine):
        if each.running and each.driver and loaded and each.driver != loaded:
            yield Seen(f"{_name(each)} has driver {each.driver}, loaded is {loaded}", _again(each))


@check(
    CHECKS,
    "container-privileged",
    NOTE,
    "A privileged container has every GPU",
    cause="--privileged puts all device nodes into the container, whatever GPUs were asked for.",
    fix=(
        "docker run --gpus device=0 …    # without --privileged; add what is really needed by --cap-add and --device",
    ),
    references=("NVIDIA/nvidia-docker#764",),
)
def privileged(machine: Snapshot) -> Iterator[str]:
    names = [_name(each) for each in containers(machine) if each.running and each.privileged and each.nodes]
    if names and machine.gpus:
        yield ", ".join(names[:8])


@check(
    CHECKS,
    "nvidia-docker-1",
    WARNING,
    "nvidia-docker 1 has left volumes or containers",
    cause="Its driver volumes hold one driver version; after an upgrade such containers do not start, and the "
    "plugin that "
    "made them is gone.",
    fix=(
        "docker ps -a --filter volume=nvidia_driver_VERSION    # who uses it",
        "docker commit CONTAINER IMAGE    # keep what is in it, then docker rm CONTAINER",
        "docker volume rm nvidia_driver_VERSION",
        "gpudock run --gpus all IMAGE    # its successor",
    ),
    messages=(
        (
            "Error response from daemon: create nvidia_driver_367.57: Post "
            "http://%2Frun%2Fdocker%2Fplugins%2Fnvidia-docker.sock"
        ),
        "no such volume: nvidia_driver_367.57",
        "Volume nvidia_driver_370.28 declared as external, but could not be found",
    ),
    references=("eywalker/nvidia-docker-compose#7",),
)
def version_1(machine: Snapshot) -> Iterator[str]:
    for volume in machine.volumes:
        if volume.driver == "nvidia-docker" or volume.name.startswith("nvidia_driver_"):
            yield f"volume {volume.name} ({volume.engine})"
    for each in containers(machine):
        if each.v1_volumes:
            yield f"container {_name(each)} uses {', '.join(each.v1_volumes)}"


@check(
    CHECKS,
    "nvidia-docker-packages",
    WARNING,
    "Packages of nvidia-docker 1 or 2 are installed",
    cause="nvidia-docker2 became nvidia-container-toolkit in 2023 and is not maintained; with its runtime package "
    "it holds "
    "the toolkit at old versions.",
    fix=(
        "sudo apt-get purge nvidia-docker nvidia-docker2 nvidia-container-runtime",
        "sudo gpudock configure docker --as nvidia --restart",
    ),
    messages=("nvidia-docker2 : Depends: nvidia-container-toolkit (>= 1.13.0-1) but it is not going to be installed",),
    references=("NVIDIA/nvidia-docker#1626",),
)
def old_packages(machine: Snapshot) -> Iterator[str]:
    for each in packages(machine, r"nvidia-docker2?|nvidia-container-runtime(?:-hook)?|libnvidia-container0"):
        yield f"{each.name} {each.version}"
    if running(machine, "nvidia-docker-plugin") and packages(machine, r"nvidia-docker"):
        yield "nvidia-docker-plugin runs"


@check(
    CHECKS,
    "docker-packages",
    WARNING,
    "More than one docker is installed by packages",
    cause="docker.io, docker-ce and podman-docker give the same programs; which daemon runs is chance.",
    fix=("dpkg -l | grep -e docker -e containerd -e moby", "sudo apt-get remove THE-OTHER-ONE"),
    messages=("trying to overwrite '/usr/bin/docker', which is also in package docker.io",),
)
def docker_packages(machine: Snapshot) -> Iterator[str]:
    found = packages(machine, r"docker\.io|docker-ce|docker-engine|lxc-docker|moby-engine|podman-docker")
    if len(found) > 1:
        yield ", ".join(f"{each.name} {each.version}" for each in found)
