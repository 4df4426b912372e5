"""Which devices RUN steps get, and what the driver behind them is."""

import os
from typing import NamedTuple

from gpudock import proc
from gpudock.engine import local, remote
from gpudock.engine.base import KIND, Answer, Client
from gpudock.engine.build.driver_files import Driver
from gpudock.engine.offer import Chosen, NamesOffer, Offer, PlanOffer
from gpudock.plan import capabilities
from gpudock.plan.request import Request
from gpudock.refresh.current import StaleError
from gpudock.refresh.paths import Paths


class Gpus(NamedTuple):
    chosen: Chosen
    wanted: tuple[str, ...]  # capabilities
    driver: Driver
    simulated: bool
    folder: str = ""  # of the specification, on this machine
    notes: tuple[str, ...] = ()

    @property
    def devices(self) -> tuple[str, ...]:
        return tuple(f"{KIND}={name}" for name in self.chosen.devices)

    @property
    def variables(self) -> dict[str, str]:
        """For a runtime that is told by variables."""
        return {
            "NVIDIA_VISIBLE_DEVICES": "all" if self.chosen.everything else ",".join(self.chosen.visible),
            "NVIDIA_DRIVER_CAPABILITIES": ",".join(self.wanted),
        }

    @property
    def flag(self) -> str:
        """The value of docker's own --gpus, by which a commit keeps no variable."""
        which = ["all"] if self.chosen.everything else ["device=" + ",".join(self.chosen.visible)]
        return ",".join(f'"{field}"' for field in (*which, "capabilities=" + ",".join(self.wanted)))


def find(client: Client, answer: Answer, request: Request, here: local.Here, run: proc.Runner) -> Gpus:
    """Raises GpudockError."""
    wanted = request.capabilities or capabilities.DEFAULT
    named = answer.cdi
    if answer.remote:
        theirs, notes = remote.offer(answer, client.endpoint.address, run)
        return _gpus(theirs, request, wanted, named, Driver(theirs.driver))._replace(notes=notes)
    own = local.own_plan(here, None)
    if own is not None:
        plan, place = own
        driver = driver_of(plan["driver"], place)
        return _gpus(PlanOffer(plan), request, wanted, named, driver)._replace(folder=place.cdi)
    foreign = local.foreign(here)
    if foreign is None:
        raise StaleError("The CDI specification of this machine has just been removed.")
    version = local.loaded_driver(here)
    local.check(foreign, version)
    offer = NamesOffer(foreign.names, foreign.path, version)
    return _gpus(offer, request, wanted, named, Driver(version))._replace(folder=os.path.dirname(foreign.path))


def _gpus(offer: Offer, request: Request, wanted: tuple[str, ...], named: bool, driver: Driver) -> Gpus:
    chosen = offer.choose(request, wanted, named=named)
    return Gpus(chosen, wanted, driver, offer.simulated, notes=chosen.notes)


def driver_of(version: str, place: Paths) -> Driver:
    """The driver's files as the trees of this machine have them, of every generation."""
    sizes: dict[int, tuple[str, ...]] = {}
    names = set()
    for folder, _, files in os.walk(place.trees):
        for name in files:
            path = os.path.join(folder, name)
            names.add(name)
            if not os.path.islink(path):
                size = os.stat(path).st_size
                sizes[size] = (*sizes.get(size, ()), path)
    return Driver(version, frozenset(names), sizes)
