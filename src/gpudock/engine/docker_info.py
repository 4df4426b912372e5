"""The answer to `docker info`: the engine's facts, and what matters beside them."""

import json
from typing import TYPE_CHECKING

import msgspec

from gpudock.engine.base import Answer
from gpudock.host import engine_docker
from gpudock.host.root import Root
from gpudock.host.surroundings import Surroundings
from gpudock.proc import Result

if TYPE_CHECKING:
    from gpudock.engine.docker import Docker


def read(result: Result, client: "Docker") -> Answer | None:
    """None when it is podman that answered."""
    # The address is known already, so the reader of host facts need not ask for it, and reads this one answer.
    environment = {**client.environment, "DOCKER_HOST": client.endpoint.address}
    around = Surroundings(Root("/"), Root("/proc"), environment, client.rootless)
    facts = engine_docker.read(lambda _: result, around, client.program)
    if facts is None or facts.problem:
        return Answer(facts) if facts else None
    told = json.loads(result.out)
    if told.get("KernelVersion", client.kernel) != client.kernel:  # a virtual machine, or the other end of a tunnel
        facts = msgspec.structs.replace(facts, remote=True)
    return Answer(facts, _devices(told.get("DiscoveredDevices")))


def _devices(told: object) -> tuple[str, ...]:
    """Since docker 28.2: [{"Source": "cdi", "ID": "nvidia.com/gpu=0"}]."""
    entries = told if isinstance(told, list) else []
    return tuple(str(entry["ID"]) for entry in entries if isinstance(entry, dict) and "ID" in entry)
