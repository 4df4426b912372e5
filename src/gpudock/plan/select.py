"""Which of this machine's devices a request names."""

from gpudock.errors import RefusedError
from gpudock.plan import device_id
from gpudock.plan.quote import count, quote
from gpudock.plan.request import NONE, VOID
from gpudock.plan.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from gpudock.plan.document import Gpu, Instance, Node, Plan
    from gpudock.plan.request import Request

_SHOWN = 16  # devices named in a message


class Selected(Value):
    """A device that a container gets: `name` is "0" for a whole GPU, "0:1" for its MIG device 1.

    `drm` holds the nodes that belong to it only in a variant that has `drm` set.
    """

    __slots__ = ("drm", "gpu", "instance", "name", "nodes", "uuid")
    drm: "tuple[Node, ...]"
    gpu: "Gpu"
    instance: "Instance | None"
    name: str
    nodes: "tuple[Node, ...]"
    uuid: str

    def __init__(self, gpu: "Gpu", instance: "Instance | None" = None) -> None:
        name = str(gpu["index"]) if instance is None else "{}:{}".format(gpu["index"], instance["index"])
        of = gpu if instance is None else instance
        drm, nodes = tuple(of["drm"]), tuple(of["nodes"])
        self._set(drm=drm, gpu=gpu, instance=instance, name=name, nodes=nodes, uuid=of["uuid"])


def select(plan: "Plan", request: "Request") -> "tuple[Selected, ...]":
    """The devices asked for: in the plan's order for all and for a number, else in the request's. Raises RefusedError.

    A GPU in MIG mode stands for its MIG devices and cannot be had whole. NONE and VOID select nothing.
    """
    if request.devices in (NONE, VOID):
        return ()
    everything = _everything(plan)
    usable = tuple(device for device in everything if device.instance is not None or not device.gpu["mig"])
    if not usable:
        raise _nothing(plan, request)
    if isinstance(request.devices, tuple):
        found = {device.name: device for device in (_one(everything, name, request) for name in request.devices)}
        return tuple(found.values())
    if not isinstance(request.devices, int):
        return usable
    if request.devices > len(usable):
        raise RefusedError(
            f"{request.source} asks for {count(request.devices, 'GPU')}, this machine has {len(usable)}.",
            why="it has " + _listed(usable),
            mend=f"ask for {len(usable)} or fewer, or for all",
        )
    return usable[: request.devices]


def _everything(plan: "Plan") -> "list[Selected]":
    """Each GPU, followed by its MIG devices."""
    devices = []
    for gpu in plan["gpus"]:
        devices.append(Selected(gpu))
        devices.extend(Selected(gpu, instance) for instance in gpu["instances"])
    return devices


def _one(everything: "list[Selected]", name: str, request: "Request") -> Selected:
    matching = [device for device in everything if _is_called(device, name)]
    if not matching:
        raise RefusedError(
            f"{request.source} asks for {quote(name)}, which this machine does not have.",
            why="it has " + _listed(everything),
            mend="ask for one of these, or for all",
        )
    if len(matching) > 1:
        raise RefusedError(
            f"{quote(name)} in {request.source} may mean more than one device.",
            why="it fits " + _listed(matching),
            mend="write more of the UUID, or use the index",
        )
    device = matching[0]
    if device.instance is None and device.gpu["mig"]:
        raise _divided(device, [each for each in everything if each.instance and each.gpu is device.gpu], request)
    return device


def _is_called(device: Selected, name: str) -> bool:
    """Whether a canonical device id, of whatever kind, fits the device."""
    if ":" in name and "." not in name:
        return device.name == name
    if device_id.index(name) == name:
        return device.name == name
    if "." in name:
        return device.instance is None and device_id.bus_id(device.gpu["bus_id"]) == name
    if "/" in name:
        gpu, gi, ci = name.split("/")
        own = device.instance
        is_there = own is not None and (str(own["gi"]), str(own["ci"])) == (gi, ci)
        return is_there and _fits(device.gpu["uuid"], gpu[len("MIG-") :])
    return _fits(device.uuid, name)


def _fits(uuid: str, start: str) -> bool:
    if start.startswith(("GPU-", "MIG-")):
        return uuid.lower().startswith(start.lower())
    return uuid[4:].lower().startswith(start)


def _nothing(plan: "Plan", request: "Request") -> RefusedError:
    if plan["gpus"]:
        return RefusedError(
            f"{request.source} asks for GPUs, but there is no MIG device to give.",
            why="every GPU here is in MIG mode, and none is divided yet",
            mend="sudo nvidia-smi mig -lgip (the profiles), then sudo nvidia-smi mig -cgi PROFILE -C",
        )
    return RefusedError(
        f"{request.source} asks for a GPU, but this machine has none.",
        why="no NVIDIA GPU was found when the driver was last read",
        mend="start the container without asking for GPUs; if there is a GPU, run: sudo gpudock refresh",
    )


def _divided(parent: Selected, instances: "list[Selected]", request: "Request") -> RefusedError:
    if not instances:
        return RefusedError(
            f"{request.source} asks for GPU {parent.name}, which is in MIG mode and not divided yet.",
            mend=f"sudo nvidia-smi mig -i {parent.name} -cgi PROFILE -C",
        )
    first, all_of_it = instances[0].name, ",".join(each.name for each in instances)
    return RefusedError(
        f"{request.source} asks for GPU {parent.name}, which is divided into MIG devices and cannot be had whole.",
        why="it has " + _listed(instances),
        mend=f"ask for one of them, such as {first}, or for {all_of_it}" if all_of_it != first else f"ask for {first}",
    )


def _listed(devices: "Iterable[Selected]") -> str:
    shown = ["{} ({}, {})".format(each.name, _model(each), each.uuid) for each in devices]
    return "; ".join(shown[:_SHOWN]) + (f"; and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else "")


def _model(device: Selected) -> str:
    if device.instance is not None:
        return "MIG " + device.instance["profile"]
    return device.gpu["name"] + (", in MIG mode" if device.gpu["mig"] else "")
