"""What is wrong with a GPU, in words, the gravest first. A power limit that slows it down is nothing wrong."""

from gpudock.facts.base import Missing
from gpudock.monitor import words
from gpudock.monitor.sample import Gpu, Xid

_PROGRAMS_FAULT = (13, 31, 43, 45)  # Xids, mostly: in NVIDIA's catalogue
_DAY = 86400.0  # an Xid is news for so long; what lasts has other signs
_SLOWED = ("hw_thermal_slowdown", "hw_power_brake_slowdown", "hw_slowdown", "sw_thermal_slowdown")
_RECOVERY = {2: "needs a reboot", 7: "needs a reboot", 3: "NVLink needs attention", 5: "NVLink needs attention"}


def faults(gpu: Gpu, now: float) -> list[str]:
    """Of the GPU, of its driver, or of its cooling. `now`: Unix time."""
    found = []
    if isinstance(gpu.recovery, int) and gpu.recovery:
        found.append(_RECOVERY.get(gpu.recovery, "needs a reset"))
    found += [_said(each, now) for each in _news(gpu, now) if each.code not in _PROGRAMS_FAULT][-1:]
    if isinstance(gpu.ecc.uncorrected_volatile, int) and gpu.ecc.uncorrected_volatile:
        found.append(f"{gpu.ecc.uncorrected_volatile} ECC errors")
    if gpu.remapped.failed is True or gpu.remapped.pending is True:
        found.append("row remapping " + ("failed" if gpu.remapped.failed is True else "pending"))
    if not isinstance(gpu.throttle, Missing) and any(each in gpu.throttle for each in _SLOWED):
        found.append("slowed down")
    return found


def crashes(gpu: Gpu, now: float) -> list[str]:
    """The latest error that a program's fault explains. One that came with a fault of the GPU is what became of it."""
    news = _news(gpu, now)
    return [] if any(each.code not in _PROGRAMS_FAULT for each in news) else [_said(each, now) for each in news[-1:]]


def _news(gpu: Gpu, now: float) -> list[Xid]:
    return [] if isinstance(gpu.xids, Missing) else [each for each in gpu.xids if now - each.last < _DAY]


def _said(xid: Xid, now: float) -> str:
    return f"Xid {xid.code}, {words.span(now - xid.last)}"
