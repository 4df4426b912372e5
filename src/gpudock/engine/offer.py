"""Which devices of an engine's machine a request means, and what they are called there.

Two sources: our own start plan knows everything; somebody else's specification, or an engine elsewhere, gives names,
and facts about the GPUs at best.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING, NamedTuple, Protocol

from gpudock.cdi.project import device_name
from gpudock.errors import HostError, RefusedError
from gpudock.plan import capabilities, device_id
from gpudock.plan.quote import count, quote
from gpudock.plan.request import ALL, Request
from gpudock.plan.requirement import Properties, properties_of
from gpudock.plan.select import select

if TYPE_CHECKING:
    from gpudock.facts.gpu import Gpu
    from gpudock.plan.document import Plan

_SHOWN = 16  # names in a message


class MissingVariantError(HostError):
    """The driver was not built with this set of capabilities."""

    def __init__(self, wanted: tuple[str, ...], what: str, *, why: str, mend: str) -> None:
        super().__init__(what, why=why, mend=mend)
        self.wanted = wanted


class Chosen(NamedTuple):
    """The devices that a container will get."""

    devices: tuple[str, ...]  # CDI device names; ("all",) only for who asks for all: tomorrow there may be more
    visible: tuple[str, ...]  # the same for NVIDIA_VISIBLE_DEVICES
    number: int  # of devices; -1: not known
    uuids: tuple[str, ...]  # of the GPUs and MIG devices, as far as they are known
    properties: Properties
    known: bool  # requirements can be judged: the versions of driver and CUDA are known
    everything: bool  # no GPU of the machine is left out
    notes: tuple[str, ...] = ()


class Offer(Protocol):
    @property
    def simulated(self) -> bool: ...

    def choose(self, request: Request, wanted: tuple[str, ...], *, named: bool) -> Chosen:
        """The devices for a request with these capabilities. `named`: CDI device names are needed, and must exist."""


class PlanOffer(NamedTuple):
    """Our own specification, and the plan that it was made from."""

    plan: "Plan"

    @property
    def simulated(self) -> bool:
        return self.plan["simulated"]

    def choose(self, request: Request, wanted: tuple[str, ...], *, named: bool) -> Chosen:
        selected = select(self.plan, request)
        if named and capabilities.label(wanted) not in self.plan["variants"]:
            raise _no_variant(wanted)
        everything = {device.uuid for device in selected} == {device.uuid for device in select(self.plan, Request(ALL))}
        # Engines keep the name and look it up at each start. Indices can change when the machine is restarted: who
        # names a GPU by what is its own gets that one, or none.
        numbers = request.devices if isinstance(request.devices, tuple) else [device.name for device in selected]
        own = tuple(device.name if device.name in numbers else device.uuid for device in selected)
        names = (ALL,) if request.devices == ALL else own
        uuids = tuple(device.uuid for device in selected)
        return Chosen(
            devices=tuple(device_name(name, wanted) for name in names),
            visible=uuids,
            number=len(selected),
            uuids=uuids,
            properties=properties_of(self.plan, selected),
            known=bool(self.plan["cuda"]),  # NVML is silent: the driver's version is known, CUDA's is not
            everything=everything,
        )


class NamesOffer(NamedTuple):
    """Device names that the engine knows. Whose they are says `source`, for messages."""

    names: tuple[str, ...]
    source: str
    driver: str = ""
    cuda: str = ""
    gpus: "tuple[Gpu, ...]" = ()
    simulated: bool = False

    def choose(self, request: Request, wanted: tuple[str, ...], *, named: bool) -> Chosen:
        whole = [name for name in self.names if "." not in name and name != ALL]
        counted = _counted(whole)
        if isinstance(request.devices, tuple):
            names = tuple(dict.fromkeys(self._one(whole, name, request) for name in request.devices))
        elif isinstance(request.devices, int):
            names = counted[: request.devices]
            if request.devices > len(counted):
                raise RefusedError(
                    f"{request.source} asks for {count(request.devices, 'GPU')}, {self.source} has {len(counted)}.",
                    why="it has " + _listed(counted),
                    mend=f"ask for {len(counted)} or fewer, or for all",
                )
        else:
            names = counted
        certain = isinstance(request.devices, (tuple, int))
        everything = set(names) == set(counted) or not certain
        chosen = (ALL,) if ALL in self.names and not certain else names
        if not chosen:
            raise RefusedError(
                f"{request.source} asks for a GPU, but {self.source} has none.",
                why="it names no device",
                mend="gpudock host",
            )
        devices, notes = self._filtered(chosen, request, wanted) if named else (chosen, ())
        facts = [found for name in names if (found := self._facts(name))]
        return Chosen(
            devices=devices,
            visible=chosen,
            number=len(names) or -1,
            uuids=tuple(uuid for uuid, _ in facts),
            properties=Properties(self.cuda, self.driver, (_properties(gpu) for _, gpu in facts)),
            known=bool(self.driver and self.cuda),
            everything=everything,
            notes=notes,
        )

    def _one(self, whole: list[str], name: str, request: Request) -> str:
        """The device that a canonical id names."""
        bus = next((gpu for gpu in self.gpus if device_id.bus_id(gpu.bus_id) == name), None)
        wanted = str(bus.index) if bus else name
        forms = {wanted, f"mig{wanted}" if ":" in wanted else f"gpu{wanted}"}
        matching = [each for each in whole if each in forms] or [each for each in whole if _starts(each, wanted)]
        if len(matching) == 1:
            return matching[0]
        if matching:
            raise RefusedError(
                f"{quote(name)} in {request.source} may mean more than one device.",
                why="it fits " + _listed(matching),
                mend="write more of the UUID, or use the index",
            )
        raise RefusedError(
            f"{request.source} asks for {quote(name)}, which {self.source} does not have.",
            why="it has " + _listed(whole),
            mend="ask for one of these, or for all",
        )

    def _filtered(
        self, chosen: tuple[str, ...], request: Request, wanted: tuple[str, ...]
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """With the capabilities where such devices exist; else whole ones, and a note when less was asked for."""
        filtered = tuple(device_name(name, wanted) for name in chosen)
        if set(filtered) <= set(self.names):
            return filtered, ()
        if request.capabilities is None:
            return chosen, ()
        asked = ",".join(request.capabilities)
        return chosen, (f"the whole driver is given, not only {asked}: {self.source} cannot divide it.",)

    def _facts(self, name: str) -> "tuple[str, Gpu] | None":
        """The UUID behind a device's name, and its GPU."""
        for gpu in self.gpus:
            if name in {str(gpu.index), f"gpu{gpu.index}", gpu.uuid}:
                return gpu.uuid, gpu
            for instance in gpu.instances:
                pair = f"{gpu.index}:{instance.index}"
                if name in {pair, "mig" + pair, instance.uuid}:
                    return instance.uuid, gpu
        return None


def _counted(whole: list[str]) -> tuple[str, ...]:
    """One name for each device: indices when there are some, else UUIDs, else all names there are."""
    plain = [name for name in whole if not name.replace(":", "").strip("0123456789")]
    uuids = [name for name in whole if name.startswith(("GPU-", "MIG-"))]
    return tuple(sorted(plain or uuids or whole, key=_natural))


def _natural(name: str) -> tuple[tuple[int, str], ...]:
    return tuple((int(part), "") if part.isdecimal() else (0, part) for part in name.split(":"))


def _starts(name: str, wanted: str) -> bool:
    """Whether a UUID begins with what was asked for, with GPU- or MIG- or without."""
    if not name.startswith(("GPU-", "MIG-")):
        return False
    start = wanted.lower()
    return name.lower().startswith(start) or (len(start) >= 4 and name[4:].lower().startswith(start))


def _properties(gpu: "Gpu") -> tuple[str, str]:
    arch = gpu.compute_capability if isinstance(gpu.compute_capability, str) else ""
    return arch, gpu.brand if isinstance(gpu.brand, str) else ""


def _listed(names: Collection[str]) -> str:
    shown = list(names)[:_SHOWN]
    more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
    return (", ".join(shown) or "none") + more


def _no_variant(wanted: tuple[str, ...]) -> MissingVariantError:
    asked = ",".join(wanted)
    return MissingVariantError(
        wanted,
        f"The driver was not prepared for containers with only {asked}.",
        why="refresh builds the usual sets of capabilities, and those that it is asked for",
        mend=f"sudo gpudock refresh --capabilities {asked}",
    )
