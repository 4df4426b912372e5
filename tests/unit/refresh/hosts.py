"""A machine on disk whose plan fits it: driver files, and the kernel's answers below its own proc and sys."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from gpudock.cdi import codec
from gpudock.facts.engine import CdiSpecFile
from gpudock.facts.snapshot import Roots
from gpudock.refresh.making import KIND
from gpudock.refresh.paths import Paths
from gpudock.start.key import read_boot_id
from unit.machines import VERSION, DriverRoot, snapshot, whole
from unit.recorded import fill

if TYPE_CHECKING:
    from gpudock.facts.driver import DriverFiles
    from gpudock.facts.gpu import DeviceNode
    from gpudock.facts.snapshot import Snapshot

HOOK = ("/usr/bin/python3", "python3", "/usr/libexec/gpudock/current/hook.py")


class Host:
    def __init__(self, folder: Path) -> None:
        self.root: DriverRoot = whole(folder / "host")
        self.paths = Paths(*(f"{folder}/{name}" for name in ("state", "run", "cdi", "libexec")))
        self.nodes: tuple[DeviceNode, ...] = ()
        self.mig: dict[int, int] = {}
        self.driver: DriverFiles | None = None  # other files than those on disk
        self.others: tuple[CdiSpecFile, ...] = ()
        self.plan = "0123456789abcdef"  # that our specification is said to name
        self.hooks = 0  # how often the hook was installed
        bare = snapshot(self.root.files())
        self.roots = Roots(proc=f"{folder}/kernel/proc", sys=f"{folder}/kernel/sys")
        gpus = {
            f"/proc/driver/nvidia/gpus/{gpu.bus_id}/information": f"GPU UUID: {gpu.uuid}\nDevice Minor: {gpu.minor}\n"
            for gpu in bare.gpus
        }
        devices = "Character devices:\n" + "".join(
            f"{major} {name}\n" for name, major in bare.kernel_driver.majors.items()
        )
        fill(folder / "kernel", {"/proc/devices": devices, "/sys/module/nvidia/version": VERSION, **gpus})

    def take(self) -> Snapshot:
        """The machine as it is now, with our own specification among the specifications."""
        facts = snapshot(self.driver or self.root.files(), mig=self.mig, nodes=self.nodes)
        system = msgspec.structs.replace(facts.system, boot_id=read_boot_id())
        return msgspec.structs.replace(
            facts, roots=self.roots, system=system, cdi_specs=(*self._own(), *self.others), engines=()
        )

    def _own(self) -> tuple[CdiSpecFile, ...]:
        path = Path(self.paths.spec)
        if not path.exists():
            return ()
        document = codec.decode(path.read_bytes(), str(path))
        names = tuple(device["name"] for device in document["devices"])
        return (CdiSpecFile(path=str(path), kind=KIND, devices=names, plan=self.plan),)

    def hook(self) -> tuple[str, ...]:
        self.hooks += 1
        return HOOK
