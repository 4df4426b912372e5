"""What nvidia-docker 1 gives a container, out of the start plan: device nodes, and the driver volume. The command line,
the REST API and compose files name devices in the same way, and get the same ones here.
"""

import re
from collections.abc import Sequence

from gpudock.compat.v1_error import V1Error
from gpudock.errors import UsageError
from gpudock.plan import device_id
from gpudock.plan.document import MOUNT_POINT, Node, Plan
from gpudock.plan.quote import quote
from gpudock.plan.request import ALL, Request
from gpudock.plan.select import select

VOLUME = "nvidia_driver"
DRIVER = "nvidia-docker"  # the volume plugin's name
_NODE = r"/dev/(?:nvidia[a-z0-9-]*|nvidia-caps/nvidia-cap[0-9]+|dxg)"
# A device as `shown` writes it, from others; the second form is of a driver that was read elsewhere than in /dev.
WORD = re.compile(rf"{_NODE}|(?:/[A-Za-z0-9_.+-]+)*(?P<node>{_NODE}):(?P=node)")
_CONTROL = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "dxg")  # dxg: all that WSL has
_INDEX = re.compile(r"[+-]?[0-9]+")


class NoDeviceError(V1Error):
    """There is no such device. `device`: its name as it was given, of whatever length."""

    def __init__(self, device: str, source: str, plan: Plan) -> None:
        has = ", ".join(f"{gpu['index']} ({gpu['uuid']})" for gpu in plan["gpus"][:16])
        why = f"{source} asks for it; this machine has {has or 'no GPU'}"
        super().__init__(f"invalid device: {quote(device)}", why=why)
        self.device = device


def volume(plan: Plan) -> str:
    """The volume that the plugin makes of this machine's driver, and where containers have it."""
    return f"{VOLUME}_{plan['driver']}:{MOUNT_POINT}:ro"


def control(plan: Plan) -> list[str]:
    """The nodes that every container needs, as words for --device."""
    nodes = {node["path"]: node for variant in plan["variants"].values() for node in variant["nodes"]}
    return [shown(nodes[path]) for name in _CONTROL if (path := f"/dev/{name}") in nodes]


def gpus(plan: Plan, wanted: Sequence[str], source: str) -> list[str]:
    """The nodes of these devices, as words for --device: in the order of `wanted`, each once; none: of all devices.

    Raises NoDeviceError, and RefusedError for a GPU that is divided into MIG devices, or when there is nothing to give.
    """
    names = tuple(dict.fromkeys(_named(plan, name, source) for name in wanted))
    chosen = select(plan, Request(names or ALL, None, source))
    return list(dict.fromkeys(shown(node) for device in chosen for node in device.nodes))


def shown(node: Node) -> str:
    """Where a driver's nodes are not in /dev, the container still gets them there."""
    return node["path"] if node["host"] == node["path"] else f"{node['host']}:{node['path']}"


def _named(plan: Plan, name: str, source: str) -> str:
    """nvidia-docker 1's names, an index or the beginning of a UUID, and those of MIG devices, which it did not know."""
    found = None
    if name.startswith("GPU-"):
        found = next((gpu["index"] for gpu in plan["gpus"] if gpu["uuid"].startswith(name)), None)
    elif ":" in name or name.startswith("MIG-"):
        try:
            return device_id.canonical(name, source)
        except UsageError as error:
            raise NoDeviceError(name, source, plan) from error
    elif _INDEX.fullmatch(name) and len(name) < 10:
        found = int(name)
    if found is None or found not in {gpu["index"] for gpu in plan["gpus"]}:
        raise NoDeviceError(name, source, plan)
    return str(found)
