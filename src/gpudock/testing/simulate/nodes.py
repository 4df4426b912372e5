"""The device nodes of the simulated machine, with majors that no driver of the real machine has."""

import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import msgspec

from gpudock.errors import HostError
from gpudock.testing.simulate import capabilities
from gpudock.testing.simulate.machine import MIG_BRANCH, Description, Majors

_LOCAL_USE = range(120, 128)  # majors that Linux leaves to experiments
_DYNAMIC = range(511, 383, -1)  # where the driver's other majors come from


@dataclass(frozen=True, slots=True)
class Node:
    path: str  # below the folder: "dev/nvidia0"
    major: int
    minor: int
    mode: int


def nodes(description: Description) -> list[Node]:
    return sorted(_nodes(description), key=lambda node: node.path)


def _nodes(description: Description) -> Iterator[Node]:
    majors = description.majors
    yield Node("dev/nvidiactl", majors.nvidia, 255, 0o666)
    yield Node("dev/nvidia-modeset", majors.nvidia, 254, 0o666)
    yield Node("dev/nvidia-uvm", majors.nvidia_uvm, 0, 0o666)
    yield Node("dev/nvidia-uvm-tools", majors.nvidia_uvm, 1, 0o666)
    for gpu in description.gpus:
        yield Node(f"dev/nvidia{gpu.minor}", majors.nvidia, gpu.minor, 0o666)
    if description.branch < MIG_BRANCH:
        return
    rights = {capabilities.CONFIG: 0o400, capabilities.MONITOR: 0o444}
    for gpu in description.gpus:
        for each in gpu.instances:
            rights[capabilities.gpu_instance(gpu.minor, each.gi)] = 0o444
            rights[capabilities.compute_instance(gpu.minor, each.gi, each.ci)] = 0o444
    for minor, mode in rights.items():
        yield Node(f"dev/nvidia-caps/nvidia-cap{minor}", majors.nvidia_caps, minor, mode)


def registered_majors() -> frozenset[int]:
    """The majors that drivers of the real machine have."""
    with open("/proc/devices", encoding="ascii", errors="replace") as file:
        return parse_devices(file.read())


def parse_devices(text: str) -> frozenset[int]:
    characters = text.partition("Block devices:")[0].splitlines()
    return frozenset(int(words[0]) for line in characters if (words := line.split()) and words[0].isdigit())


def free_majors(wanted: Majors, registered: Collection[int]) -> Majors:
    """`wanted`, moved away from what the real machine uses: opening a simulated node must never reach a driver."""
    taken = set(registered)

    def choose(name: str, first: int, others: range) -> int:
        major: int | None = next((each for each in (first, *others) if each not in taken), None)
        if major is None:
            raise HostError(f"No device major is free for {name}.", why=f"{others} are all in /proc/devices")
        taken.add(major)
        return major

    return Majors(
        nvidia=choose("nvidia", wanted.nvidia, _LOCAL_USE),
        nvidia_uvm=choose("nvidia-uvm", wanted.nvidia_uvm, _DYNAMIC),
        nvidia_caps=choose("nvidia-caps", wanted.nvidia_caps, _DYNAMIC),
    )


def with_free_majors(description: Description, registered: Collection[int]) -> Description:
    return msgspec.structs.replace(description, majors=free_majors(description.majors, registered))


def make(found: list[Node], folder: str) -> None:
    """Make the nodes below `folder`. Raises HostError where this process may not."""
    for node in found:
        path = os.path.join(folder, node.path)
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        try:
            os.mknod(path, stat.S_IFCHR | node.mode, os.makedev(node.major, node.minor))
        except PermissionError as error:
            raise HostError(
                f"The device node {node.path} cannot be made in {folder}.",
                why="only root may make device nodes, and not within a user namespace",
                mend="run it as root (sudo) on the machine itself",
            ) from error
        os.chmod(path, node.mode)  # the umask has changed it
