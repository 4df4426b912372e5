"""`gpudock drivers`: what could be installed, the CUDA it runs, whether it suits the GPUs, its life. Pure."""

from typing import NamedTuple

from gpudock.facts.base import Missing
from gpudock.facts.snapshot import Snapshot
from gpudock.gpu import cuda
from gpudock.provision.install import architecture, branches
from gpudock.provision.install.versions import Version


class Row(NamedTuple):
    version: str
    package: str
    source: str
    cuda: str
    suits: str  # "yes", or why not; "" where the GPUs are not known
    life: str


class Listing(NamedTuple):
    generations: tuple[str, ...]
    loaded: str  # version of the driver that is loaded, ""
    advice: str
    rows: tuple[Row, ...]


def listing(snapshot: Snapshot, found: tuple[Version, ...], today: str) -> Listing:
    """`today` as YYYY-MM. Without a program that lists versions, the branches that are known."""
    generations = architecture.of_machine(snapshot)
    suits = architecture.suits(generations)
    version = snapshot.kernel_driver.version
    known = found or tuple(
        Version("", str(number), "NVIDIA's branches") for number in sorted(branches.LIVES, reverse=True)
    )
    rows = tuple(_row(each, generations, suits, today) for each in known)
    loaded = "" if isinstance(version, Missing) else version
    return Listing(generations, loaded, _advice(generations, suits), rows)


def _row(each: Version, generations: tuple[str, ...], suits: architecture.Suits | None, today: str) -> Row:
    number = each.branch
    if number is None:
        return Row(each.version, each.package, each.source, "", "", "")
    why = _why(number, each.package, generations, suits)
    return Row(each.version, each.package, each.source, cuda.newest(number), why, branches.life(number, today))


def _why(number: int, package: str, generations: tuple[str, ...], suits: architecture.Suits | None) -> str:
    if not generations or generations == ("unknown",):
        return ""
    if suits is None:
        return "no driver runs all of them"
    if not suits.branch(number):
        return f"too old (from {suits.first})" if number < suits.first else f"too new (up to {suits.last})"
    if "open" in package and architecture.OPEN not in suits.modules:
        return "no: they need the proprietary module"
    server = package.endswith("-server") or package.startswith("cuda-drivers")
    if server and architecture.PROPRIETARY not in suits.modules:
        return "no: they need the open module"
    return "yes"


def _advice(generations: tuple[str, ...], suits: architecture.Suits | None) -> str:
    if not generations:
        return "no NVIDIA GPU is on the bus"
    if suits is None:
        return "no one driver runs all of these GPUs"
    until = f" to {suits.last}" if suits.last else " on"
    module = f"{suits.modules[0]} kernel module" + (" only" if len(suits.modules) == 1 else " (or the other)")
    return f"branches from {suits.first}{until}, {module}"
