"""The values of the REST API 1.0, in its units and in its order of keys. Pure: plan and samples in, JSON values out."""

from typing import Any

from gpudock.compat.rest_source import Host
from gpudock.host.nvml_sample import Cuda, Limits, Status
from gpudock.plan.document import Gpu

FAMILIES = {1: "Tesla", 2: "Fermi", 3: "Kepler", 5: "Maxwell", 6: "Pascal"}
CORES = {"2.0": 32, "2.1": 48, "6.0": 64}  # of a multiprocessor, where all of a family have not the same
CORES_OF_FAMILY = {1: 8, 3: 192, 5: 128, 6: 128}
# MB/s of one lane. nvidia-docker 1 knew four generations, and said 0 of newer ones.
LANE = {1: 250, 2: 500, 3: 985, 4: 1969, 5: 3938, 6: 7563}
# nvmlGpuTopologyLevel_t -> number of the REST API
LINKS = {0: 6, 10: 5, 20: 4, 30: 3, 40: 2, 50: 1}

_MIB, _KIB = 1 << 20, 1 << 10


def info(host: Host) -> dict[str, Any]:
    plan = host.plan
    return {
        "Version": {"Driver": plan["driver"] or None if plan else None, "CUDA": plan["cuda"] or None if plan else None},
        "Devices": [_device(host, gpu) for gpu in plan["gpus"]] if plan else [],
    }


def _device(host: Host, gpu: Gpu) -> dict[str, Any]:
    limits = host.limits.get(gpu["uuid"], Limits(uuid=gpu["uuid"]))
    cuda = host.cuda.get(gpu["bus_id"], Cuda(bus_id=gpu["bus_id"]))
    return {
        "UUID": gpu["uuid"],
        "Path": f"/dev/nvidia{gpu['minor']}",
        "Model": gpu["name"] or None,
        "Power": whole(limits.power, 1000),
        "CPUAffinity": host.numa.get(gpu["bus_id"], 0),
        "PCI": {"BusID": gpu["bus_id"], "BAR1": whole(limits.bar1, _MIB), "Bandwidth": _pcie(limits)},
        "Clocks": {"Cores": limits.clock, "Memory": limits.memory_clock},
        "Topology": _topology(host, limits, cuda),
        "Family": FAMILIES.get(_major(gpu["arch"])),
        "Arch": gpu["arch"],
        "Cores": _cores(gpu["arch"], cuda.multiprocessors),
        "Memory": {
            "ECC": None if cuda.ecc is None else bool(cuda.ecc),
            "Global": whole(cuda.memory, _MIB),
            "Shared": whole(cuda.shared, _KIB),
            "Constant": whole(cuda.constant, _KIB),
            "L2Cache": whole(cuda.l2_cache, _KIB),
            "Bandwidth": _bandwidth(cuda),
        },
    }


def whole(value: int | None, unit: int) -> int | None:
    return None if value is None else value // unit


def _pcie(limits: Limits) -> int | None:
    if limits.pcie_generation is None or limits.pcie_width is None:
        return None
    return LANE.get(limits.pcie_generation, 0) * limits.pcie_width


def _topology(host: Host, limits: Limits, cuda: Cuda) -> list[dict[str, Any]] | None:
    """The GPUs whose memory this one can reach, in their order."""
    order = [gpu["bus_id"] for gpu in host.plan["gpus"]] if host.plan else []
    reached = [bus for bus in order if bus in cuda.peers]
    return [{"BusID": bus, "Link": LINKS.get(limits.ancestors.get(bus) or 0, 0)} for bus in reached] or None


def _major(arch: str) -> int:
    major = arch.partition(".")[0]
    return int(major) if major.isdecimal() else 0


def _cores(arch: str, multiprocessors: int | None) -> int | None:
    each = CORES.get(arch, CORES_OF_FAMILY.get(_major(arch)))
    return None if each is None or multiprocessors is None else each * multiprocessors


def _bandwidth(cuda: Cuda) -> int | None:
    if cuda.memory_clock is None or cuda.bus_width is None:
        return None
    return 2 * (cuda.memory_clock // 1000) * (cuda.bus_width // 8)


def status(host: Host, samples: dict[str, Status]) -> dict[str, Any]:
    gpus = host.plan["gpus"] if host.plan else []
    return {"Devices": [_status(samples.get(gpu["uuid"], Status(uuid=gpu["uuid"]))) for gpu in gpus]}


def _status(now: Status) -> dict[str, Any]:
    processes = [
        {"PID": each.pid, "Name": each.name or "", "MemoryUsed": whole(each.memory, _MIB)}
        for each in now.processes or ()
    ]
    return {
        "Power": whole(now.power, 1000),
        "Temperature": now.temperature,
        "Utilization": {"GPU": now.gpu, "Memory": now.memory, "Encoder": now.encoder, "Decoder": now.decoder},
        "Memory": {
            "GlobalUsed": whole(now.memory_used, _MIB),
            "ECCErrors": {"L1Cache": now.l1_errors, "L2Cache": now.l2_errors, "Global": now.memory_errors},
        },
        "Clocks": {"Cores": now.clock, "Memory": now.memory_clock},
        "PCI": {
            "BAR1Used": whole(now.bar1_used, _MIB),
            "Throughput": {"RX": whole(now.received, 1000), "TX": whole(now.sent, 1000)},
        },
        "Processes": processes or None,
    }
