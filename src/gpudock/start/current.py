"""The start plan that containers get now, if it still fits the machine."""

import os

from gpudock.errors import GpudockError, HostError
from gpudock.start import key, paths, plans

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpudock.plan.document import Plan
    from gpudock.start.settings import Settings

SPEC_LIMIT = 16 << 20
MEND = "sudo gpudock refresh, and start the container again"


def plan(settings: "Settings") -> "Plan":
    """A plan that fits the machine. Raises GpudockError when there is none and none can be made."""
    try:
        found = _fitting(settings.specs)
    except GpudockError as stale:
        from gpudock.start import renew  # noqa: PLC0415  hardly any start needs it

        if not renew.may_refresh(settings):
            raise
        renew.refresh(settings, because=stale)
        return _fitting(settings.specs)
    grown = _grown(found)
    if not grown:
        return found
    from gpudock.start import renew  # noqa: PLC0415

    # What has come since may be something that refresh does not take in, a broken GPU: then the plan stays good, and
    # not each start is to wait for another refresh.
    if not renew.may_refresh(settings) or renew.was_in_vain(settings, grown):
        return found
    try:
        renew.refresh(settings, because=HostError(grown))
        found = _fitting(settings.specs)
        left = _grown(found)
    except GpudockError:
        left = grown
    if left:
        renew.note_in_vain(settings, left)
    return found


def _fitting(specs: "tuple[str, ...]") -> "Plan":
    found = plans.read(_plan_path(specs))
    changed = key.difference(found["key"])
    if changed:
        raise HostError("The start plan no longer fits this machine.", why=changed, mend=MEND)
    return found


def _plan_path(specs: "tuple[str, ...]") -> str:
    """Out of our CDI specification, whose hook names the plan. It is long, and only this is needed of it."""
    spec = next(filter(key.exists, specs), "")
    if not spec:
        raise HostError("GPUs are not set up for containers yet.", why=f"{' and '.join(specs)} do not exist", mend=MEND)
    parts = plans.trusted(spec, SPEC_LIMIT).partition(b'"--plan"')[2].split(b'"', 2)
    if len(parts) < 3 or not parts[1].startswith(b"/"):
        raise HostError(f"{spec} names no start plan.", mend=MEND)
    return paths.decoded(parts[1])


def _grown(found: "Plan") -> str:
    """What has come to the machine since: a GPU, or a MIG device, that `all` should give too."""
    proc = found["key"]["proc"]
    minors = found["key"]["mig_minors"]
    known = {key.bus_id(bus) for bus in found["key"]["gpus"]}
    come = [
        f"there is a new GPU at {name}"
        for name in _names(f"{proc}/driver/nvidia/gpus")
        if key.bus_id(name) not in known
    ]
    for gpu in found["gpus"]:
        folder = f"{proc}/driver/nvidia/capabilities/gpu{gpu['minor']}/mig"
        for instance in _names(folder):
            come += [
                f"GPU {gpu['index']} has a new MIG device {instance}/{part}"
                for part in _names(f"{folder}/{instance}")
                if part.startswith("ci") and f"gpu{gpu['minor']}/{instance}/{part}/access" not in minors
            ]
    return "; ".join(sorted(come))


def _names(folder: str) -> "list[str]":
    try:
        return os.listdir(folder)
    except OSError:
        return []
