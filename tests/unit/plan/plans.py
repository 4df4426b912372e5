"""Start plans for tests: a machine with any GPUs, complete enough for plan.reader and for everything that reads one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpudock.plan.capabilities import DEFAULT, label
from gpudock.plan.document import FORMAT

if TYPE_CHECKING:
    from gpudock.plan.document import Gpu, Instance, Node, Plan, Variant

UUIDS = (
    "GPU-8f3c1a2b-0d4e-4f5a-9b6c-7d8e9f0a1b2c",
    "GPU-8f3cffff-1111-4222-8333-444455556666",
    "GPU-0000abcd-2222-4333-8444-555566667777",
)


def node(path: str, major: int, minor: int, mode: int = 0o666) -> Node:
    return {"path": path, "host": path, "major": major, "minor": minor, "mode": mode, "uid": 0, "gid": 0}


def gpu(
    index: int = 0, *, instances: int | None = None, uuid: str = "", brand: str = "Nvidia", arch: str = "9.0"
) -> Gpu:
    """One H200. `instances`: None for a whole GPU, else MIG mode with so many MIG devices."""
    nodes = [node(f"/dev/nvidia{index}", 195, index)]
    return {
        "index": index,
        "uuid": uuid or UUIDS[index],
        "bus_id": f"00000000:{index + 6:02X}:00.0",  # upper case, as NVML writes it
        "minor": index,
        "name": "NVIDIA H200",
        "brand": brand,
        "arch": arch,
        "mig": instances is not None,
        "nodes": nodes,
        "drm": [node(f"/dev/dri/renderD{index + 128}", 226, index + 128, 0o660)],
        "instances": [_instance(index, number, nodes) for number in range(instances or 0)],
    }


def plan_with(*gpus: Gpu, driver: str = "580.159.04", cuda: str = "13.0") -> Plan:
    """A plan for the GPUs given; without any: GPU 0 whole, GPU 1 divided into two MIG devices."""
    present = list(gpus) or [gpu(0), gpu(1, instances=2)]
    return plan_of(present, driver=driver, cuda=cuda)


def plan_of(gpus: list[Gpu], *, driver: str = "580.159.04", cuda: str = "13.0") -> Plan:
    return {
        "format": FORMAT,
        "driver": driver,
        "cuda": cuda,
        "simulated": False,
        "wsl": False,
        "driver_root": "/",
        "dev_root": "/",
        "key": {
            "proc": "/proc",
            "sys": "/sys",
            "boot_id": "0f0e0d0c-0b0a-4908-8706-050403020100",
            "module": driver,
            "majors": {"nvidia": 195, "nvidia-caps": 237, "nvidia-uvm": 510},
            "gpus": {each["bus_id"]: [str(each["minor"]), each["uuid"]] for each in gpus},
            "mig_minors": {},
            "files": [],
        },
        "gpus": gpus,
        "variants": {label(DEFAULT): _variant(driver)},
        "extras": {"imex": {"nodes": {"all": []}, "mounts": []}},
        "library_links": False,
    }


def _instance(index: int, number: int, parent: list[Node]) -> Instance:
    caps = [
        node(f"/dev/nvidia-caps/nvidia-cap{minor}", 237, minor, 0o444) for minor in (9 * number + 12, 9 * number + 13)
    ]
    return {
        "index": number,
        "gi": number + 1,
        "ci": 0,
        "uuid": f"MIG-{index}{number}aabbcc-5555-4666-8777-88889999aaaa",
        "profile": "1g.18gb",
        "nodes": [*parent, *caps],
        "drm": [],
    }


def _variant(driver: str) -> Variant:
    tree = f"/var/lib/gpudock/driver/{driver}-1/compute.utility"
    return {
        "capabilities": list(DEFAULT),
        "folder": tree,
        "drm": False,
        "nodes": [node("/dev/nvidiactl", 195, 255), node("/dev/nvidia-uvm", 510, 0)],
        "mounts": [{"host": tree, "container": "/usr/local/nvidia", "options": ["ro", "rbind"]}],
        "libraries": [{"flags": 0x0303, "soname": "libcuda.so.1", "path": "/usr/local/nvidia/lib64/libcuda.so.1"}],
        "links": [{"path": "/usr/bin/nvidia-smi", "target": "/usr/local/nvidia/bin/nvidia-smi"}],
    }
