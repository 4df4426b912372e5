"""What this machine offers: our own plan while it fits, else a specification of somebody else's that is valid."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from gpudock.engine.base import KIND, Answer
from gpudock.engine.offer import PlanOffer
from gpudock.errors import EngineError, HostError
from gpudock.host.root import Root
from gpudock.plan.document import Plan
from gpudock.refresh.current import StaleError, current
from gpudock.refresh.paths import Paths

if TYPE_CHECKING:
    from gpudock.facts.engine import CdiSpecFile

FOLDERS = ("/etc/cdi", "/var/run/cdi")  # where engines look; a device in the later one wins
OWN_EXTRAS = "gpudock-"  # begins the names of our specifications of other devices than GPUs
Refresh = Callable[[tuple[tuple[str, ...], ...]], object]  # given capability sets that it shall build too


class Here(NamedTuple):
    """Where this machine's specifications and its driver are looked for."""

    places: tuple[Paths, ...]  # where our own specification may be, best first
    folders: tuple[str, ...] = FOLDERS
    sys: str = "/sys"


class Foreign(NamedTuple):
    """Somebody else's specification that defines the GPUs."""

    path: str
    names: tuple[str, ...]


def own_plan(here: Here, refresh: Refresh | None) -> tuple[Plan, Paths] | None:
    """The plan in force and where it lies; None when somebody else's specification is in charge.

    A plan that is missing or stale is made anew by `refresh`; without it StaleError is raised.
    """
    place = next((each for each in here.places if os.path.exists(each.spec)), here.places[0])
    if os.path.exists(place.spec):
        _alone(place.spec)
    elif foreign(here) is not None:
        return None
    try:
        return current(place).plan, place
    except StaleError:
        if refresh is None:
            _no_driver(place, here)
            raise
    refresh(())
    return current(place).plan, place


def _no_driver(place: Paths, here: Here) -> None:
    if not os.path.exists(place.spec) and not loaded_driver(here) and not os.path.exists("/dev/dxg"):
        raise HostError(
            "--gpus asks for a GPU, but this machine has no NVIDIA driver loaded.",
            why="there is no /sys/module/nvidia",
            mend="install or load the driver (sudo modprobe nvidia), then: sudo gpudock refresh",
        )


def renewed(place: Paths, refresh: Refresh, wanted: tuple[str, ...]) -> PlanOffer:
    """Our plan, after a set of capabilities was added to it."""
    refresh((wanted,))
    return PlanOffer(current(place).plan)


def _specs(folders: tuple[str, ...], own: str) -> "list[CdiSpecFile]":
    """Specifications of the GPUs that are not ours."""
    names = (name for folder in folders for name in _names(folder) if name.endswith((".json", ".yaml")))
    if all(name == own or name.startswith(OWN_EXTRAS) for name in names):
        return []
    from gpudock.host import cdi_specs  # noqa: PLC0415  start-up time: most often there is none

    found = cdi_specs.read(Root("/"), folders)
    return [spec for spec in found if spec.kind == KIND and spec.plan is None]


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _alone(spec: str) -> None:
    """Two specifications of one folder that define the same device: engines then refuse the device."""
    others = _specs((os.path.dirname(spec),), os.path.basename(spec))
    if others:
        raise HostError(
            f"{spec} and {others[0].path} define the same devices.",
            why="engines refuse a device that is defined twice",
            mend="sudo gpudock refresh --adopt sets the other one aside; --undo gives it back",
        )


def foreign(here: Here) -> Foreign | None:
    """The specification of somebody else's that engines would use: a later folder wins over an earlier one."""
    place = here.places[0]
    folders = (*(folder for folder in here.folders if folder != place.cdi), place.cdi)
    specs = _specs(folders, os.path.basename(place.spec))
    return Foreign(specs[-1].path, specs[-1].devices) if specs else None


def check(found: Foreign, driver: str) -> None:
    """Raises HostError when the specification no longer fits this machine."""
    from gpudock.cdi import store, validate  # noqa: PLC0415  start-up time: only for somebody else's specification

    document = store.load(found.path)
    _forgive_hooks(document)
    machine = store.machine(found.path, driver=driver or None)._replace(readable=True, others={})
    problems = validate.problems(document, machine)
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise HostError(
            f"{found.path} does not fit this machine.",
            why=problems[0] + more,
            mend=f"make it anew (sudo nvidia-ctk cdi generate --output={found.path}), or let gpudock take over: "
            "sudo gpudock refresh --adopt",
        )


def _forgive_hooks(document: dict[str, Any]) -> None:
    """NVIDIA's older tools give hooks no environment. That is no reason to refuse what has always worked."""
    devices = document.get("devices")
    for part in (document, *(devices if isinstance(devices, list) else ())):
        edits = part.get("containerEdits") if isinstance(part, dict) else None
        hooks = edits.get("hooks") if isinstance(edits, dict) else None
        for hook in hooks if isinstance(hooks, list) else ():
            if isinstance(hook, dict):
                hook.setdefault("env", ["PATH=/usr/bin"])


def loaded_driver(here: Here) -> str:
    """Version of the kernel module, "" when none is loaded."""
    return (Root(here.sys).text("/module/nvidia/version", 64) or "").strip()


def seen_by(answer: Answer, folder: str) -> bool:
    """Whether the engine looks for specifications in this folder."""
    real = os.path.realpath(folder)
    return not answer.cdi_folders or any(os.path.realpath(each) == real for each in answer.cdi_folders)


def unseen(engine: str, answer: Answer, folder: str) -> EngineError:
    return EngineError(
        f"This {engine} does not look for CDI specifications in {folder}.",
        why="it reads " + ", ".join(answer.cdi_folders),
        mend="sudo gpudock refresh (it writes to /var/run/cdi, for all users of this machine)",
    )
