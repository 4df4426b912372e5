"""What nvidia-docker 1 gives a container of this machine: devices and the driver volume, out of the start plan."""

import re
from collections.abc import Callable, Iterable

from gpudock.compat.v1_error import V1Error
from gpudock.plan import device_id
from gpudock.plan.document import MOUNT_POINT, Node, Plan
from gpudock.plan.quote import quote
from gpudock.plan.request import ALL, Request
from gpudock.plan.select import select

VOLUME = "nvidia_driver"
DRIVER = "nvidia-docker"  # the volume plugin's name
_CONTROL = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools")
_CONTROL_OF_WSL = "dxg"
_INDEX = re.compile(r"[+-]?[0-9]+")


def volume(plan: Plan) -> str:
    """Name of the volume that the plugin makes of this machine's driver."""
    return f"{VOLUME}_{plan['driver']}"


def added(plan: Plan, wanted: tuple[str, ...], needed: Iterable[str], has_volume: Callable[[str], bool]) -> list[str]:
    """The words that stand before the image. `wanted`: NV_GPU's devices, none for all; `needed`: volumes of the image.

    Volumes that nvidia-docker does not have are left out. Raises V1Error, and RefusedError for a GPU in MIG mode.
    """
    words = [_device(node) for node in (*_control(plan), *_gpus(plan, wanted))]
    if VOLUME in needed:
        name = volume(plan)
        words += [] if has_volume(name) else [f"--volume-driver={DRIVER}"]
        words.append(f"--volume={name}:{MOUNT_POINT}:ro")
    return words


def _device(node: Node) -> str:
    return "--device=" + (node["path"] if node["host"] == node["path"] else f"{node['host']}:{node['path']}")


def _control(plan: Plan) -> list[Node]:
    nodes = {node["path"]: node for variant in plan["variants"].values() for node in variant["nodes"]}
    return [nodes[path] for name in (*_CONTROL, _CONTROL_OF_WSL) if (path := f"/dev/{name}") in nodes]


def _gpus(plan: Plan, wanted: tuple[str, ...]) -> list[Node]:
    """In the plan's order for all, else in NV_GPU's, each once."""
    names = tuple(dict.fromkeys(_named(plan, name) for name in wanted))
    chosen = select(plan, Request(names or ALL, None, "NV_GPU" if names else "nvidia-docker"))
    return list({node["path"]: node for device in chosen for node in device.nodes}.values())


def _named(plan: Plan, name: str) -> str:
    """nvidia-docker 1's names, an index or the beginning of a UUID, and those of MIG devices, which it did not know."""
    gpus = plan["gpus"]
    if name.startswith("GPU-"):
        found = next((gpu["index"] for gpu in gpus if gpu["uuid"].startswith(name)), None)
    elif ":" in name or name.startswith("MIG-"):
        return device_id.canonical(name, "NV_GPU")
    else:
        found = int(name) if _INDEX.fullmatch(name) and len(name) < 10 else None
    if found is None or found not in {gpu["index"] for gpu in gpus}:
        has = ", ".join(f"{gpu['index']} ({gpu['uuid']})" for gpu in gpus[:16])
        raise V1Error(f"invalid device: {quote(name)}", why=f"NV_GPU asks for it; this machine has {has or 'no GPU'}")
    return str(found)
