"""Generations of NVIDIA GPUs: told by the PCI id before any driver is there, and by the driver when it is. Pure.

Ranges of device ids: the PCI id database, and the nouveau project's list of code names.
What each needs: NVIDIA's Unix driver archive and the README of open-gpu-kernel-modules.
"""

from typing import NamedTuple

from gpudock.facts.base import Missing
from gpudock.facts.snapshot import Snapshot

NVIDIA, DISPLAY = 0x10DE, 0x03
OPEN, PROPRIETARY = "open", "proprietary"


class Generation(NamedTuple):
    name: str
    ids: tuple[tuple[int, int], ...]  # first and last
    compute: tuple[str, ...]  # capabilities, as far as they name it
    first: int  # branch of the driver
    last: int | None = None  # the last branch; None: it goes on
    modules: tuple[str, ...] = (OPEN, PROPRIETARY)  # the better one first


GENERATIONS = (
    Generation("Kepler", ((0x0FC0, 0x103F), (0x1180, 0x12BF)), ("3.0", "3.2", "3.5", "3.7"), 304, 470, (PROPRIETARY,)),
    Generation("Maxwell", ((0x1340, 0x14FF), (0x1600, 0x17FF)), ("5.0", "5.2", "5.3"), 331, 580, (PROPRIETARY,)),
    Generation("Pascal", ((0x15F0, 0x15FF), (0x1B00, 0x1D7F)), ("6.0", "6.1", "6.2"), 367, 580, (PROPRIETARY,)),
    Generation("Volta", ((0x1D80, 0x1DFF),), ("7.0", "7.2"), 384, 580, (PROPRIETARY,)),
    Generation("Turing", ((0x1E00, 0x1FFF), (0x2180, 0x21FF)), ("7.5",), 410),
    Generation("Ampere", ((0x2080, 0x20FF), (0x2200, 0x22FF), (0x2400, 0x25FF)), ("8.0", "8.6", "8.7"), 450),
    Generation("Hopper", ((0x2300, 0x23FF),), ("9.0",), 525),
    Generation("Ada", ((0x2600, 0x28FF),), ("8.9",), 525),
    Generation("Blackwell", ((0x2900, 0x31FF),), ("10.0", "10.3", "11.0", "12.0", "12.1"), 570, None, (OPEN,)),
)
BY_NAME = {each.name: each for each in GENERATIONS}


def of_device(device: int) -> str | None:
    """None for an id that no range has: older than Kepler, or newer than this list."""
    return next((each.name for each in GENERATIONS for low, high in each.ids if low <= device <= high), None)


def of_compute(capability: str) -> str | None:
    return next((each.name for each in GENERATIONS if capability in each.compute), None)


def of_machine(snapshot: Snapshot) -> tuple[str, ...]:
    """Of every NVIDIA GPU, without repetition; "unknown" for one that is not in the list."""
    found = [
        of_device(each.device) or "unknown"
        for each in snapshot.pci
        if each.vendor == NVIDIA and each.pci_class >> 16 == DISPLAY
    ]
    if not found:  # WSL and virtual machines without a PCI bus
        told = [each.compute_capability for each in snapshot.gpus]
        found = ["unknown" if isinstance(each, Missing) else of_compute(each) or "unknown" for each in told]
    return tuple(dict.fromkeys(found))


class Suits(NamedTuple):
    """What all GPUs of a machine can live with."""

    first: int
    last: int | None
    modules: tuple[str, ...]

    def branch(self, branch: int) -> bool:
        return branch >= self.first and (self.last is None or branch <= self.last)


def suits(generations: tuple[str, ...]) -> Suits | None:
    """None when nothing suits all of them, as Kepler beside Blackwell. Unknown ones decide nothing."""
    known = [BY_NAME[each] for each in generations if each in BY_NAME]
    last = min((each.last for each in known if each.last is not None), default=None)
    first = max((each.first for each in known), default=0)
    modules = tuple(m for m in (OPEN, PROPRIETARY) if all(m in each.modules for each in known))
    if not modules or (last is not None and first > last):
        return None
    return Suits(first, last, modules)
