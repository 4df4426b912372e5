"""How services get their GPUs: what the engine can do, or what the user wants. Pure."""

from typing import NamedTuple

from gpudock.compat import v1_devices
from gpudock.compat.compose.change import Gift
from gpudock.compat.compose.plugin import Needs
from gpudock.compat.compose.program import PODMAN, Program
from gpudock.engine import local
from gpudock.engine.base import KIND, Answer, Client
from gpudock.engine.decide import RUNTIMES
from gpudock.engine.offer import Chosen
from gpudock.engine.podman import numbers
from gpudock.errors import EngineError, UsageError
from gpudock.plan.document import Plan
from gpudock.plan.environment import CAPABILITIES
from gpudock.plan.quote import quote
from gpudock.plan.request import VISIBLE_DEVICES

CDI, RUNTIME, RESERVATION, VOLUME = "cdi", "runtime", "reservation", "volume"
STYLES = (CDI, RUNTIME, RESERVATION, VOLUME)
FIRST_PODMAN_SOCKET = (5, 4)  # before, podman's docker socket forgets CDI devices and says nothing


class Way(NamedTuple):
    style: str
    runtime: str = ""
    listed: bool = False  # CDI names stand in `devices`, not in a reservation

    def describe(self) -> str:
        return {
            CDI: "CDI devices" + (" in `devices`" if self.listed else ", reserved with the driver cdi"),
            RUNTIME: f"the runtime {self.runtime}",
            RESERVATION: "reservations for the engine's own --gpus",
            VOLUME: "device nodes and nvidia-docker 1's driver volume",
        }[self.style]


def way(client: Client, answer: Answer, program: Program, folder: str, *, style: str = "", plugin: bool = False) -> Way:
    """The best way, or the one wanted. `folder`: of the CDI specification on this machine; `plugin`: docker has the
    volume driver nvidia-docker. Raises EngineError and UsageError.
    """
    _check(client, style)
    seen = answer.cdi and (not folder or local.seen_by(answer, folder))
    if style in {"", CDI} and seen:
        return _cdi(client, answer, program, wanted=bool(style))
    if style == CDI:
        raise local.unseen(client.name, answer, folder) if answer.cdi else client.without_mechanism(answer)
    runtime = next((name for name in RUNTIMES if name in answer.runtimes), "")
    if style in {"", RUNTIME} and runtime:
        return Way(RUNTIME, runtime)
    if style == RUNTIME:
        raise EngineError(
            "This docker has no runtime that gives GPUs.",
            why="docker info names neither gpudock nor nvidia",
            mend="sudo gpudock configure docker --restart",
        )
    if style in {RESERVATION, VOLUME}:
        return Way(style)
    if plugin:
        return Way(VOLUME)
    if answer.cdi and folder:
        raise local.unseen(client.name, answer, folder)
    raise client.without_mechanism(answer)


def _check(client: Client, style: str) -> None:
    if style and style not in STYLES:
        raise UsageError(f"--style {quote(style)} is none.", mend="use one of " + ", ".join(STYLES))
    if client.name == "podman" and style not in {"", CDI}:
        raise UsageError(
            f"--style {style} is for docker.", why="compose reaches podman's GPUs by CDI", mend="leave it out"
        )


def _cdi(client: Client, answer: Answer, program: Program, *, wanted: bool) -> Way:
    podman = client.name == "podman"
    forgets = podman and program.name != PODMAN and numbers(answer.version) < FIRST_PODMAN_SOCKET
    if forgets and not wanted:
        raise EngineError(
            f"Podman {answer.version} forgets GPUs that {program.name} asks for.",
            why="its docker-compatible socket drops CDI devices without a word before podman 5.4",
            mend="install podman-compose (sudo apt-get install podman-compose)",
        )
    return Way(CDI, listed=podman)


def gift(found: Way, chosen: Chosen, wanted: tuple[str, ...], *, stated: bool) -> Gift:
    """What a service gets of these devices, but for the style volume. `stated`: somebody named the capabilities."""
    names = tuple(f"{KIND}={name}" for name in chosen.devices)
    if found.style == CDI:
        if found.listed:
            return Gift(devices=names)
        return Gift(reservation=_entry("cdi", names, ("gpu",)))
    if found.style == RUNTIME:
        capabilities = ((CAPABILITIES, ",".join(wanted)),) if stated else ()
        return Gift(runtime=found.runtime, environment=((VISIBLE_DEVICES, ",".join(chosen.visible)), *capabilities))
    return Gift(reservation=_entry("nvidia", chosen.visible, ("gpu", *(wanted if stated else ()))))


def _entry(driver: str, ids: tuple[str, ...], capabilities: tuple[str, ...]) -> tuple[tuple[str, object], ...]:
    return (("driver", driver), ("device_ids", list(ids)), ("capabilities", list(capabilities)))


def plan_needs(plan: Plan, devices: tuple[str, ...] = ()) -> Needs:
    """What nvidia-docker 1's plugin would say of our own plan. `devices`: by UUID, none for all."""
    gpus, control = v1_devices.gpus(plan, devices, "the service"), v1_devices.control(plan)
    return Needs(tuple(gpus), tuple(control), (v1_devices.volume(plan),), v1_devices.DRIVER)


def volume_gift(needs: Needs, *, named: bool) -> Gift:
    """`named`: the service names its GPUs' nodes itself."""
    return Gift(devices=(*(() if named else needs.gpus), *needs.control), volumes=needs.volumes)
