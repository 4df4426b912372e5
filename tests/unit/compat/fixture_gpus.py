"""The three GPUs of the conformance cases: their plan, and a driver that answers as they would."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from gpudock.plan.document import Gpu, Node, Plan, Variant
from gpudock.proc import Command, Result
from unit.recorded import fill

if TYPE_CHECKING:
    from collections.abc import Callable

DATA = Path(__file__).parents[2] / "data/nvidia-docker"
FIXTURE: dict[str, Any] = json.loads((DATA / "fixture-3gpu.json").read_text())
VERSION = FIXTURE["Driver"]


def node(path: str) -> Node:
    return Node(path=path, host=path, major=195, minor=0, mode=0o666, uid=0, gid=0)


def plan(tree: str, driver: str = VERSION) -> Plan:
    """With `tree` as the driver tree of all capabilities."""
    control = [node(path) for path in ("/dev/nvidiactl", "/dev/nvidia-uvm")]
    variant = Variant(capabilities=[], folder=tree, drm=False, nodes=control, mounts=[], libraries=[], links=[])
    made = {
        "driver": driver,
        "cuda": f"{FIXTURE['DrvCuda'] // 1000}.{FIXTURE['DrvCuda'] % 100 // 10}",
        "simulated": False,
        "key": {"sys": f"{tree}/sys"},
        "gpus": [_gpu(index, gpu) for index, gpu in enumerate(FIXTURE["Devs"])],
        "variants": {"all": variant},
    }
    return cast("Plan", made)


def _gpu(index: int, gpu: dict[str, Any]) -> Gpu:
    props = FIXTURE["Props"][gpu["BusID"]]
    return Gpu(
        index=index,
        uuid=gpu["UUID"],
        bus_id=gpu["BusID"],
        minor=gpu["Minor"],
        name=gpu.get("Name", ""),
        brand="",
        arch=f"{props['Major']}.{props['Minor']}",
        mig=False,
        nodes=[node(f"/dev/nvidia{gpu['Minor']}")],
        drm=[],
        instances=[],
    )


def pairs(key: str) -> dict[tuple[int, int], Any]:
    """Of a table between two GPUs, both ways."""
    found = {}
    for text, value in FIXTURE[key].items():
        one, other = (int(part) for part in text.strip("[]").replace("-", ",").split(","))
        found[one, other] = found[other, one] = value
    return found


def limits() -> list[dict[str, Any]]:
    topology = pairs("Topo")
    return [
        {
            "uuid": gpu["UUID"],
            **_named(gpu, power="PowerLimit", bar1="Bar1T", clock="MaxSM", memory_clock="MaxMem"),
            **_named(gpu, pcie_generation="Gen", pcie_width="Width"),
            "ancestors": {
                other["BusID"]: topology.get((index, at))
                for at, other in enumerate(FIXTURE["Devs"])
                if other is not gpu
            },
        }
        for index, gpu in enumerate(FIXTURE["Devs"])
    ]


def _named(fixture: dict[str, Any], /, **names: str) -> dict[str, Any]:
    return {name: fixture.get(key) for name, key in names.items()}


def cuda() -> list[dict[str, Any]]:
    buses = FIXTURE["CudaIdx"]
    return [
        {
            "bus_id": bus,
            **_named(FIXTURE["Props"][bus], multiprocessors="SMs", memory="Global", shared="Shared", constant="Const"),
            **_named(FIXTURE["Props"][bus], l2_cache="L2", memory_clock="MemClk", bus_width="Bus"),
            "ecc": int(FIXTURE["Props"][bus]["ECC"]),
            "peers": [other for at, other in enumerate(buses) if pairs("Peer").get((index, at))],
        }
        for index, bus in enumerate(buses)
    ]


def status() -> list[dict[str, Any]]:
    return [
        {
            "uuid": gpu["UUID"],
            **_named(gpu, power="Power", temperature="Temp", gpu="UGpu", memory="UMem", encoder="UEnc", decoder="UDec"),
            **_named(gpu, memory_used="MemUsed", bar1_used="Bar1U", l1_errors="L1", l2_errors="L2"),
            **_named(gpu, memory_errors="Dram", clock="SM", memory_clock="Mem", received="Rx", sent="Tx"),
            "processes": [
                {"pid": pid, "name": FIXTURE["Names"][str(pid)], "memory": memory}
                for pid, memory in zip(gpu.get("Pids", []), gpu.get("Pmems", []), strict=True)
            ],
        }
        for gpu in FIXTURE["Devs"]
    ]


ANSWERS: dict[str, Callable[[], list[dict[str, Any]]]] = {"limits": limits, "cuda": cuda, "status": status}


class Driver:
    """A runner that answers what nvml_sample asks, and counts it. `broken`: what it cannot tell."""

    def __init__(self, *broken: str) -> None:
        self.broken = {*broken}
        self.asked: list[str] = []

    def __call__(self, command: Command) -> Result:
        what = command.argv[-3] if command.argv[-1].isdigit() else command.argv[-2]
        self.asked.append(what)
        if what in self.broken:
            return Result(0, json.dumps({"error": "nvmlInit_v2: GPU is lost"}), "")
        return Result(0, json.dumps({"gpus": ANSWERS[what]()}), "")


def tree(folder: Path, version: str = VERSION) -> str:
    """A driver tree on disk."""
    files = {f"/lib64/libcuda.so.{version}": "cuda", f"/lib64/libGLX_nvidia.so.{version}": "glx"}
    links = {
        "/lib64/libcuda.so.1": f"libcuda.so.{version}",
        "/lib64/libcuda.so": f"libcuda.so.{version}",
        "/lib64/libGLX_indirect.so.0": f"libGLX_nvidia.so.{version}",
        "/lib64/gbm/nvidia-drm_gbm.so": f"../libGLX_nvidia.so.{version}",
    }
    fill(folder, {**files, "/bin/nvidia-smi": "smi", "/share/vulkan/icd.json": "{}", "/lib/.keep": ""}, links)
    (folder / "bin/nvidia-smi").chmod(0o755)
    return str(folder)
