"""A plan: the steps that make one machine ready, in their order. Pure: planning changes and asks nothing."""

from typing import NamedTuple

from gpudock.provision.install import basics, docker, driver, old, own, wish
from gpudock.provision.install.step import Step
from gpudock.provision.install.target import Target
from gpudock.provision.install.wish import AUTO, DEBS, DISTRIBUTION, DOCKER_COM, NONE, Wish

# (system, where docker is from), without a driver: tests really run these
EXECUTED = {("debian-12", DISTRIBUTION), ("debian-12", DEBS)}


class Plan(NamedTuple):
    target: Target
    wish: Wish
    steps: tuple[Step, ...]

    @property
    def unverified(self) -> str:
        """What of it was never executed by gpudock's own tests, "" when all was."""
        found = []
        system = "wsl2" if self.target.wsl else self.target.system.name
        if self.wish.docker == NONE:
            found += [] if system in {each for each, _ in EXECUTED} else [f"plans for {system}"]
        elif (system, self.wish.docker) not in EXECUTED or self.wish.docker_version:
            found.append(f"docker from {self.wish.docker} on {system}")
        if any(step.id.startswith("driver") for step in self.steps):
            found.append("the driver")
        found += ["proxies"] if self.wish.proxy else []
        found += ["gpudock by pip"] if any(step.id == "gpudock" for step in self.steps) else []
        return ", ".join(found)

    def describe(self) -> list[str]:
        lines = [step.describe() for step in self.steps]
        if self.unverified:
            lines.append(f"unverified: {self.unverified}. gpudock's tests have never executed that; read it before.")
        return lines


def make(target: Target, wanted: Wish) -> Plan:
    """Raises GpudockError for what cannot be meant, or cannot work on that machine."""
    wish.check(wanted)
    if wanted.docker == AUTO:  # what is there stays
        wanted = wanted._replace(docker=DOCKER_COM if "docker-ce" in (target.packages or ()) else DISTRIBUTION)
    steps = (
        basics.machine(target),
        *((basics.proxies(wanted),) if wanted.proxy else ()),
        *old.sources(target),
        *basics.tools(wanted),
        *old.steps(wanted, target),
        *driver.steps(wanted, target),
        *docker.steps(wanted, target),
        *own.steps(wanted, target),
    )
    assert len({step.id for step in steps}) == len(steps)
    return Plan(target, wanted, steps)
