"""The names, types, units and labels of dcgm-exporter's default set, so that its dashboards and alerts work.

The DCGM_FI_PROF_* come from the GPU's own counters (Hopper and later) and are left out elsewhere.
"""

import re
from collections.abc import Callable, Iterator

from gpudock.facts.base import Missing
from gpudock.monitor.metric import Family, Kind, Metric, Value, written
from gpudock.monitor.sample import Gpu, Instance, Memory, Profiling, Sample


def mib(value: int | Missing) -> Value:
    return value if isinstance(value, Missing) else value >> 20


def scaled(value: float | Missing, factor: float) -> Value:
    if isinstance(value, Missing):
        return value
    result = value * factor
    return int(result) if result == int(result) else result


def _last_xid(gpu: Gpu) -> Value:
    if isinstance(gpu.xids, Missing):
        return gpu.xids
    return max(gpu.xids, key=lambda each: each.last).code if gpu.xids else 0


def _links(gpu: Gpu) -> Value:
    sent, received = gpu.nvlink.sent_total, gpu.nvlink.received_total
    if isinstance(sent, Missing) or isinstance(received, Missing):
        return None
    return (sent + received) // 1024


_TABLE: tuple[tuple[str, Kind, str, Callable[[Gpu], Value]], ...] = (
    ("DEV_SM_CLOCK", "gauge", "SM clock frequency (in MHz).", lambda gpu: gpu.clocks.sm),
    ("DEV_MEM_CLOCK", "gauge", "Memory clock frequency (in MHz).", lambda gpu: gpu.clocks.memory),
    ("DEV_MEMORY_TEMP", "gauge", "Memory temperature (in C).", lambda gpu: gpu.temperature.memory),
    ("DEV_GPU_TEMP", "gauge", "GPU temperature (in C).", lambda gpu: gpu.temperature.gpu),
    ("DEV_POWER_USAGE", "gauge", "Power draw (in W).", lambda gpu: gpu.power.draw),
    ("DEV_POWER_MGMT_LIMIT", "gauge", "Power limit (in W).", lambda gpu: gpu.power.limit),
    (
        "DEV_TOTAL_ENERGY_CONSUMPTION",
        "counter",
        "Total energy consumption since boot (in mJ).",
        lambda gpu: scaled(gpu.energy, 1000),
    ),
    ("DEV_PCIE_REPLAY_COUNTER", "counter", "Total number of PCIe retries.", lambda gpu: gpu.pcie.replays),
    ("DEV_GPU_UTIL", "gauge", "GPU utilization (in %).", lambda gpu: gpu.utilization.gpu),
    ("DEV_MEM_COPY_UTIL", "gauge", "Memory utilization (in %).", lambda gpu: gpu.utilization.memory),
    ("DEV_ENC_UTIL", "gauge", "Encoder utilization (in %).", lambda gpu: gpu.utilization.encoder),
    ("DEV_DEC_UTIL", "gauge", "Decoder utilization (in %).", lambda gpu: gpu.utilization.decoder),
    ("DEV_XID_ERRORS", "gauge", "Value of the last XID error encountered.", _last_xid),
    (
        "DEV_NVLINK_BANDWIDTH_TOTAL",
        "counter",
        "Total number of NVLink bandwidth counters for all lanes (in KiB, both directions).",
        _links,
    ),
    (
        "DEV_UNCORRECTABLE_REMAPPED_ROWS",
        "counter",
        "Number of remapped rows for uncorrectable errors.",
        lambda gpu: gpu.remapped.uncorrected,
    ),
    (
        "DEV_CORRECTABLE_REMAPPED_ROWS",
        "counter",
        "Number of remapped rows for correctable errors.",
        lambda gpu: gpu.remapped.corrected,
    ),
    ("DEV_ROW_REMAP_FAILURE", "gauge", "Whether remapping of rows has failed.", lambda gpu: gpu.remapped.failed),
    (
        "DEV_VGPU_LICENSE_STATUS",
        "gauge",
        "Whether a virtual GPU has its license; 0 for whole GPUs too.",
        lambda gpu: gpu.licensed,
    ),
)
_PROFILING: tuple[tuple[str, str, Callable[[Profiling], Value]], ...] = (
    ("PROF_GR_ENGINE_ACTIVE", "Ratio of time the graphics engine is active.", lambda part: part.graphics),
    ("PROF_PIPE_TENSOR_ACTIVE", "Ratio of cycles the tensor (HMMA) pipe is active.", lambda part: part.tensor),
    (
        "PROF_DRAM_ACTIVE",
        "Ratio of cycles the device memory interface is active sending or receiving data.",
        lambda part: part.dram,
    ),
    ("PROF_SM_ACTIVE", "The ratio of cycles an SM has at least 1 warp assigned.", lambda part: part.sm),
    ("PROF_SM_OCCUPANCY", "The ratio of number of warps resident on an SM.", lambda part: part.occupancy),
    (
        "PROF_PCIE_TX_BYTES",
        "The rate of data transmitted over the PCIe bus (in bytes per second).",
        lambda part: part.pcie_sent,
    ),
    (
        "PROF_PCIE_RX_BYTES",
        "The rate of data received over the PCIe bus (in bytes per second).",
        lambda part: part.pcie_received,
    ),
)
_MEMORY: tuple[tuple[str, str, Callable[[Memory], Value]], ...] = (
    ("DEV_FB_FREE", "Framebuffer memory free (in MiB).", lambda memory: mib(memory.free)),
    ("DEV_FB_USED", "Framebuffer memory used (in MiB).", lambda memory: mib(memory.used)),
    ("DEV_FB_RESERVED", "Framebuffer memory reserved (in MiB).", lambda memory: mib(memory.reserved)),
)
FAMILIES = (
    *(Family(f"DCGM_FI_{name}", kind, what) for name, kind, what, _ in _TABLE),
    *(Family(f"DCGM_FI_{name}", "gauge", what) for name, what, _ in _PROFILING),
    *(Family(f"DCGM_FI_{name}", "gauge", what) for name, what, _ in _MEMORY),
)
LABELS = (
    *("gpu", "UUID", "pci_bus_id", "device", "modelName", "GPU_I_PROFILE", "GPU_I_ID", "Hostname", "hostname"),
    *("DCGM_FI_DRIVER_VERSION", "container", "namespace", "pod", "pod_uid", "hpc_job"),
)


def metrics(sample: Sample) -> Iterator[Metric]:
    gpus = () if isinstance(sample.gpus, Missing) else sample.gpus
    labels = [(gpu, written(_labels(gpu, sample))) for gpu in gpus]
    for family, (_, _, _, read) in zip(FAMILIES, _TABLE, strict=False):
        yield Metric(family, [(label, read(gpu)) for gpu, label in labels])
    parts = [(gpu.profiling, gpu.memory, label) for gpu, label in labels]
    # Compute instances share what their GPU instance has.
    inside = {_labels_of_instance(gpu, each, sample): each for gpu in gpus for each in gpu.instances}
    parts += [(each.profiling, each.memory, label) for label, each in inside.items()]
    families = iter(FAMILIES[len(_TABLE) :])
    for _, _, read_part in _PROFILING:
        yield Metric(next(families), [(label, read_part(part)) for part, _, label in parts])
    for _, _, read_memory in _MEMORY:
        yield Metric(next(families), [(label, read_memory(memory)) for _, memory, label in parts])


def _labels_of_instance(gpu: Gpu, instance: Instance, sample: Sample) -> str:
    profile = re.sub(r"^[0-9]+c\.", "", str(instance.profile)) if isinstance(instance.profile, str) else ""
    return written(_labels(gpu, sample, profile, instance.gi))


def _labels(gpu: Gpu, sample: Sample, profile: str = "", gi: int | None = None) -> Iterator[tuple[str, str]]:
    yield "gpu", str(gpu.index)
    yield "UUID", gpu.uuid
    yield "pci_bus_id", bus_id(gpu)
    yield "device", f"nvidia{gpu.minor if gpu.minor >= 0 else gpu.index}"
    yield "modelName", gpu.name if isinstance(gpu.name, str) else ""
    yield "GPU_I_PROFILE", profile
    yield "GPU_I_ID", "" if gi is None else str(gi)
    yield "Hostname", sample.host  # until dcgm-exporter 4.8
    yield "hostname", sample.host  # since then
    yield "DCGM_FI_DRIVER_VERSION", sample.driver if isinstance(sample.driver, str) else ""
    yield from _holder(gpu, sample, gi)


def _holder(gpu: Gpu, sample: Sample, gi: int | None) -> Iterator[tuple[str, str]]:
    """As a pod would be named, if there is only one: with two, each figure would count twice."""
    inside = [each for each in sample.processes if each.gpu == gpu.uuid and gi in {None, each.gi}]
    ids = {each.container for each in inside}
    jobs = {each.job for each in inside}
    if len(jobs) == 1:
        yield "hpc_job", jobs.pop()
    container = sample.container(ids.pop()) if len(ids) == 1 else None
    if container is None:
        return
    pod = container.pod
    yield "container", pod.container if pod and pod.container else container.label
    yield "namespace", pod.namespace if pod else container.engine
    yield "pod", pod.name if pod else container.label
    yield "pod_uid", pod.uid if pod else ""


def bus_id(gpu: Gpu) -> str:
    """As NVML spells it: 00000000:00:06.0."""
    domain, _, rest = gpu.bus_id.partition(":")
    return f"{domain.zfill(8)}:{rest}".upper()
