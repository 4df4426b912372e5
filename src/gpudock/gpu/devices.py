"""GPUs and MIG devices as the plan names them, with the device nodes that each needs."""

from typing import NamedTuple

from gpudock.errors import HostError
from gpudock.facts.base import Missing
from gpudock.facts.gpu import DeviceNode, Gpu, MigInstance
from gpudock.facts.snapshot import Snapshot
from gpudock.gpu.extras import capability_node, node
from gpudock.plan import document


class DriverProblemError(HostError):
    """There is no usable driver, or a GPU of it cannot be reached."""


def text(value: str | Missing) -> str:
    return "" if isinstance(value, Missing) else value


def rights(gpu: Gpu, instance: MigInstance) -> tuple[str, str]:
    """Names of the two capabilities without which a MIG device cannot be opened."""
    parent = f"gpu{gpu.minor}/gi{instance.gi}"
    return f"{parent}/access", f"{parent}/ci{instance.ci}/access"


class Devices(NamedTuple):
    snapshot: Snapshot
    nodes: dict[str, DeviceNode]

    def gpu(self, gpu: Gpu) -> document.Gpu:
        own = self.nodes.get(f"/dev/nvidia{gpu.minor}")
        if own is None and not self.snapshot.system.wsl:
            raise DriverProblemError(
                f"GPU {gpu.index} has no device node /dev/nvidia{gpu.minor}.",
                why="nothing made it since the driver was loaded",
                mend="sudo nvidia-modprobe -c 0 -u, or start nvidia-persistenced",
            )
        made = document.Gpu(
            index=gpu.index,
            uuid=gpu.uuid,
            bus_id=gpu.bus_id,
            minor=gpu.minor,
            name=text(gpu.name),
            brand=text(gpu.brand),
            arch=text(gpu.compute_capability),
            mig=gpu.mig is True,
            nodes=[node(own)] if own else [],
            drm=[node(fact) for name in gpu.drm if (fact := self.nodes.get(f"/dev/dri/{name}"))],
            instances=[],
        )
        made["instances"] = [self._instance(gpu, instance, made) for instance in gpu.instances]
        return made

    def _instance(self, gpu: Gpu, instance: MigInstance, parent: document.Gpu) -> document.Instance:
        profile = text(instance.profile)
        return document.Instance(
            index=instance.index,
            gi=instance.gi,
            ci=instance.ci,
            uuid=instance.uuid,
            profile=profile,
            nodes=[
                *parent["nodes"],
                *(self._right(name, f"{gpu.index}:{instance.index}") for name in rights(gpu, instance)),
            ],
            drm=parent["drm"] if "gfx" in profile else [],
        )

    def _right(self, name: str, device: str) -> document.Node:
        minors = {capability.name: capability.minor for capability in self.snapshot.kernel_driver.capabilities}
        found = capability_node(self.nodes, minors[name]) if name in minors else None
        if found is None:
            raise DriverProblemError(
                f"MIG device {device} has no capability node for {name}.",
                why="/dev/nvidia-caps is incomplete",
                mend="sudo nvidia-smi -L (it makes the missing nodes), then sudo gpudock refresh",
            )
        return found
