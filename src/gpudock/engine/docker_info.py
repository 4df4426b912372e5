"""The answer to `docker info`, read as the host's facts are, and what matters beside them."""

import json
from typing import TYPE_CHECKING

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
        return Answer(problem=facts.problem) if facts else None
    told = json.loads(result.out)
    elsewhere = told.get("KernelVersion", client.kernel) != client.kernel  # a virtual machine, or a tunnel's other end
    return Answer(
        version=facts.version if isinstance(facts.version, str) else "",
        cdi=facts.cdi is True,
        cdi_folders=facts.cdi_folders,
        runtimes=facts.runtimes,
        devices=_devices(told.get("DiscoveredDevices")),
        remote=facts.remote or elsewhere,
    )


def _devices(told: object) -> tuple[str, ...]:
    """Since docker 28.2: [{"Source": "cdi", "ID": "nvidia.com/gpu=0"}]."""
    entries = told if isinstance(told, list) else []
    return tuple(str(entry["ID"]) for entry in entries if isinstance(entry, dict) and "ID" in entry)
