"""What the kernel and its NVIDIA modules say of themselves below /proc and /sys."""

import re
from collections.abc import Collection

import msgspec

from gpudock.facts.base import Missing
from gpudock.facts.gpu import Capability, Gpu, KernelDriver
from gpudock.facts.system import Module
from gpudock.host.plain import one_line
from gpudock.host.root import Root

RELEVANT = re.compile(
    r"nvidia(_\w+)?$|nouveau$|nova_|gdrdrv$|vfio_pci$|dxgkrnl$|ib_(core|uverbs)$|rdma_ucm$|mlx5_(core|ib)$|overlay$"
)
MAJORS = re.compile(r"\s*(\d+) (nvidia[\w.-]*|gdrdrv|infiniband_verbs)$")
VERSION = re.compile(r"Kernel Module\b.*?\s(\d+\.\d+(?:\.\d+)?)\s")
UUID = re.compile(r"GPU-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$")

_LOG = "/driver/nvidia"


def modules(proc: Root, sys: Root) -> tuple[Module, ...]:
    """Loaded modules that matter for GPUs and containers, sorted."""
    names = sorted(line.split(" ", 1)[0] for line in (proc.text("/modules") or "").splitlines())
    return tuple(
        Module(name=name, version=one_line(sys.text(f"/module/{name}/version", 200) or "") or None)
        for name in names
        if RELEVANT.match(name)
    )


def driver(proc: Root) -> KernelDriver:
    """The loaded driver, with the rights that belong to no MIG instance."""
    text = proc.text(f"{_LOG}/version")
    if text is None:
        return KernelDriver(version=Missing("the nvidia kernel module is not loaded"), majors=majors(proc))
    line = next((line for line in text.splitlines() if line.startswith("NVRM version:")), "")
    match = VERSION.search(line + " ")
    unknown = Missing("/proc/driver/nvidia/version does not tell: " + one_line(line, 80))
    return KernelDriver(
        version=match[1] if match else unknown,
        open_module="Open Kernel Module" in line if match else unknown,
        majors=majors(proc),
        capabilities=capabilities(proc),
        params=_pairs(proc.text(f"{_LOG}/params") or ""),
    )


def majors(proc: Root) -> dict[str, int]:
    """Character device majors of NVIDIA and of what it works with."""
    text = (proc.text("/devices") or "").partition("Block devices:")[0]
    return {match[2]: int(match[1]) for line in text.splitlines() if (match := MAJORS.match(line))}


def capabilities(proc: Root, instances: Collection[str] = ()) -> tuple[Capability, ...]:
    """The general rights, and those of `instances`: "gpu0/gi1" and "gpu0/gi1/ci0" for a MIG device of /dev/nvidia0.

    The table also lists the 135 instances that each of 32 GPUs could have: they stay out.
    """
    found = []
    for name in ("mig-minors", "sys-minors", "nvlink-minors"):
        for line in (proc.text(f"/driver/nvidia-caps/{name}") or "").splitlines():
            if not instances and line.startswith("gpu"):  # nearly all of some thousand lines
                continue
            right, _, minor = line.partition(" ")
            if minor.isdecimal() and (not right.startswith("gpu") or right.removesuffix("/access") in instances):
                found.append(Capability(name=right, minor=int(minor)))
    return tuple(found)


def gpus(proc: Root) -> tuple[Gpu, ...]:
    """What the module knows without NVML, in PCI order. A GPU whose UUID it does not know yet is left out."""
    found: list[Gpu] = []
    unknown = Missing("NVML was not there to tell")
    for bus_id in sorted(proc.names(f"{_LOG}/gpus")):
        facts = _pairs(proc.text(f"{_LOG}/gpus/{bus_id}/information") or "")
        uuid, minor = facts.get("GPU UUID", ""), facts.get("Device Minor", "")
        if not UUID.match(uuid) or not minor.isdecimal() or facts.get("GPU Excluded") == "Yes":
            continue
        found.append(
            Gpu(
                index=len(found),
                uuid=uuid,
                bus_id=bus_id.lower(),
                minor=int(minor),
                name=facts.get("Model") or Missing("the driver does not tell the model"),
                brand=unknown,
                compute_capability=unknown,
                memory=unknown,
                mig=unknown,
                persistence=unknown,
                processes=unknown,
            )
        )
    return tuple(found)


def known_as_divided(proc: Root, gpu: Gpu) -> Gpu:
    """`gpu`, with MIG on when NVML could not tell but the kernel has instances: it is not to be had whole then."""
    divided = isinstance(gpu.mig, Missing) and gpu.minor >= 0 and bool(_instances(proc, str(gpu.minor)))
    return msgspec.structs.replace(gpu, mig=True) if divided else gpu


def _instances(proc: Root, minor: str) -> list[str]:
    return [name for name in proc.names(f"{_LOG}/capabilities/gpu{minor}/mig") if name.startswith("gi")]


def _pairs(text: str) -> dict[str, str]:
    """Lines "Name: value"."""
    pairs = (line.partition(":") for line in text.splitlines())
    return {one_line(name): one_line(value).strip('"') for name, colon, value in pairs if colon}
