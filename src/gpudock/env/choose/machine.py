"""What of a machine decides about CUDA and frameworks. Pure."""

from typing import NamedTuple

from gpudock.facts.base import Missing
from gpudock.facts.snapshot import Snapshot
from gpudock.plan.requirement import Properties


class Machine(NamedTuple):
    driver: str = ""  # "": none is loaded, or it is not known
    gpus: tuple[tuple[str, str], ...] = ()  # (name, compute capability) of each whose capability is known
    machine: str = "x86_64"  # as uname -m; "": not known
    properties: Properties = Properties("", "")  # for what an image requires of it

    def describe(self) -> str:
        gpus = ", ".join(dict.fromkeys(f"{name} (compute capability {capability})" for name, capability in self.gpus))
        return f"driver {self.driver or 'unknown'}" + (f", {gpus}" if gpus else ", no GPU known")


def of_snapshot(snapshot: Snapshot) -> Machine:
    driver = snapshot.kernel_driver.version
    if isinstance(driver, Missing):
        driver = "" if isinstance(snapshot.nvml, Missing) else snapshot.nvml.driver
    found = ((each.name, each.compute_capability) for each in snapshot.gpus)
    gpus = tuple(
        ("a GPU" if isinstance(name, Missing) else name, capability)
        for name, capability in found
        if not isinstance(capability, Missing)
    )
    cuda = "" if isinstance(snapshot.nvml, Missing) or isinstance(snapshot.nvml.cuda, Missing) else snapshot.nvml.cuda
    known = ((_told(each.compute_capability), _told(each.brand)) for each in snapshot.gpus)
    return Machine(driver, gpus, snapshot.system.architecture, Properties(cuda, driver, known))


def _told(reading: str | Missing) -> str:
    return "" if isinstance(reading, Missing) else reading
