"""What a running container has of the GPUs now, asked of the kernel and not of the container."""

import os
import re
import sys
from typing import NamedTuple

import msgspec

from gpudock.facts.base import Missing
from gpudock.facts.gpu import DeviceNode
from gpudock.host.plain import one_line
from gpudock.host.root import Root
from gpudock.proc import Command, Runner

SECONDS = 2.0
_START = "import sys; sys.path.append(sys.argv.pop(1)); import inside_child; inside_child.main()"
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
_TRIED = ("/dev/nvidiactl", "/dev/nvidia-uvm")  # opening these costs nothing; a GPU's own would set it up
_SCOPE = re.compile(r"/((?:docker|libpod)-[0-9a-f]{64}\.scope)(?:/|$)")
_OURS = re.compile(r"nvidia|/dev/char/195:|char-195")


class _Answer(msgspec.Struct):
    nodes: dict[str, str]
    drivers: list[str]
    group: str
    refused: list[str]


class Inside(NamedTuple):
    nodes: tuple[str, ...] | Missing
    refused: tuple[str, ...] = ()
    renumbered: tuple[str, ...] = ()
    driver: str | None = None
    forgotten: bool = False


def look(pid: int, host: tuple[DeviceNode, ...], run: Runner, machine: Root) -> Inside:
    """`host`: the machine's own nodes. Only root may."""
    if os.geteuid() != 0:
        return Inside(Missing("only root may look into containers"))
    offered = {f"{node.major}:{node.minor}": node.host for node in host if node.path in _TRIED}
    argv = (sys.executable, "-I", "-S", "-c", _START, os.path.dirname(__file__), str(pid), _json(offered))
    answer = run(Command(argv, timeout=SECONDS, env=_ENVIRONMENT))
    try:
        told = msgspec.json.decode(answer.out.strip().rpartition("\n")[2], type=_Answer)
    except (msgspec.DecodeError, RecursionError):
        return Inside(Missing(one_line(answer.err) or "it gave no answer"))
    numbers = {node.path: f"{node.major}:{node.minor}" for node in host}
    names = {number: name for name, number in told.nodes.items()}
    return Inside(
        nodes=tuple(sorted(f"/dev/{name}" for name in told.nodes)),
        refused=tuple(sorted(f"/dev/{names[number]}" for number in told.refused if number in names)),
        renumbered=tuple(
            f"/dev/{name} is {number}, the host's is {numbers[f'/dev/{name}']}"
            for name, number in sorted(told.nodes.items())
            if numbers.get(f"/dev/{name}", number) != number
        ),
        driver=one_line(told.drivers[0]) if len(told.drivers) == 1 else None,
        forgotten=bool(told.nodes) and _forgotten(told.group, machine),
    )


def _json(value: dict[str, str]) -> str:
    return msgspec.json.encode(value).decode()


def _forgotten(group: str, machine: Root) -> bool:
    """systemd has a list of the devices that this container may use, and NVIDIA's are not on it."""
    scope = _SCOPE.search(group)
    if not scope:
        return False
    text = machine.text(f"/run/systemd/transient/{scope[1]}.d/50-DeviceAllow.conf")
    return text is not None and not _OURS.search(text)
