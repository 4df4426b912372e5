"""Command lines, engines and plans for the tests of this room."""

from collections.abc import Mapping

from gpudock.engine import flags
from gpudock.engine.base import Answer, Wish
from gpudock.engine.docker import Docker
from gpudock.engine.endpoint import LOCAL, Endpoint
from gpudock.engine.image import Image
from gpudock.engine.podman import Podman
from gpudock.plan.request import parse_gpus

KERNEL = "6.18.44"  # of the machine on which tests/data/engines was recorded
DOCKER = Docker("/usr/bin/docker", Endpoint(LOCAL), {}, KERNEL)
PODMAN = Podman("/usr/bin/podman", Endpoint("unix://"))
PLAIN = Image({"PATH": "/bin"}, {})


def wish(*words: str, verb: str = "run", caller: Mapping[str, str] | None = None) -> Wish:
    """What `gpudock run WORDS` means; --gpus must be among them."""
    arguments = flags.scan(words, verb)
    environment = flags.environment(arguments, {}, dict(caller or {}))
    return Wish(verb, arguments, parse_gpus(arguments.own["gpus"]), environment)


def docker(version: str = "28.5.2", *, cdi: bool = True, runtimes: tuple[str, ...] = ("runc",)) -> Answer:
    return Answer(version, cdi, ("/etc/cdi", "/var/run/cdi") if cdi else (), runtimes)
