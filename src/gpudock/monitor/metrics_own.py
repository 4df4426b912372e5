"""Our own families, gpudock_*: base units, and what no other exporter has: containers, people, environments."""

from collections.abc import Callable, Iterable, Iterator

from gpudock import __version__
from gpudock.facts.base import Missing
from gpudock.monitor.metric import Family, Kind, Metric, Value, with_label, written
from gpudock.monitor.metrics_smi import REASONS, hertz, ratio
from gpudock.monitor.sample import Gpu, Instance, Memory, Sample, Utilization


def _idle(gpu: Gpu) -> Value:
    """Absent where nobody tells whether it is used."""
    return None if gpu.untold or any(isinstance(each, Missing) for each in gpu.loads) else gpu.idle or 0.0


_GPU: tuple[tuple[str, Kind, str, Callable[[Gpu], Value]], ...] = (
    ("temperature_celsius", "gauge", "Temperature of the GPU.", lambda gpu: gpu.temperature.gpu),
    ("memory_temperature_celsius", "gauge", "Temperature of the GPU's memory.", lambda gpu: gpu.temperature.memory),
    ("power_watts", "gauge", "Power that the GPU draws.", lambda gpu: gpu.power.draw),
    ("power_limit_watts", "gauge", "The limit of its power that is in force.", lambda gpu: gpu.power.enforced),
    ("energy_joules_total", "counter", "Energy since the driver was loaded.", lambda gpu: gpu.energy),
    ("fan_ratio", "gauge", "Speed of the fan, of its highest.", lambda gpu: ratio(gpu.fan)),
    ("performance_state", "gauge", "Performance state, 0 (busiest) to 15.", lambda gpu: gpu.pstate),
    ("row_remap_pending", "gauge", "Whether remapped rows wait for a reset.", lambda gpu: gpu.remapped.pending),
    ("row_remap_failed", "gauge", "Whether remapping of rows has failed.", lambda gpu: gpu.remapped.failed),
    ("recovery_action", "gauge", "What the driver recommends; as NVML, 0: nothing.", lambda gpu: gpu.recovery),
    ("pcie_replays_total", "counter", "Retries on PCIe.", lambda gpu: gpu.pcie.replays),
    ("pcie_sent_bytes_per_second", "gauge", "From the GPU over PCIe.", lambda gpu: gpu.pcie.sent),
    ("pcie_received_bytes_per_second", "gauge", "To the GPU over PCIe.", lambda gpu: gpu.pcie.received),
    ("nvlink_sent_bytes_total", "counter", "From the GPU over all NVLinks.", lambda gpu: gpu.nvlink.sent_total),
    ("nvlink_received_bytes_total", "counter", "To the GPU over all NVLinks.", lambda gpu: gpu.nvlink.received_total),
    ("idle_seconds", "gauge", "For so long somebody has held the GPU and not used it.", _idle),
)
_UTILIZATION: tuple[tuple[str, str, Callable[[Utilization], Value]], ...] = (
    ("utilization_ratio", "Time in which the GPU worked.", lambda used: ratio(used.gpu)),
    ("memory_busy_ratio", "Time in which memory was read or written.", lambda used: ratio(used.memory)),
    ("encoder_utilization_ratio", "Time in which the video encoder worked.", lambda used: ratio(used.encoder)),
    ("decoder_utilization_ratio", "Time in which the video decoder worked.", lambda used: ratio(used.decoder)),
)
_MEMORY: tuple[tuple[str, str, Callable[[Memory], Value]], ...] = (
    ("memory_size_bytes", "Memory of the GPU.", lambda memory: memory.total),
    ("memory_used_bytes", "Memory that programs use.", lambda memory: memory.used),
    ("memory_free_bytes", "Memory that is free.", lambda memory: memory.free),
    ("memory_reserved_bytes", "Memory that the driver keeps for itself.", lambda memory: memory.reserved),
)


def _family(name: str, what: str, kind: Kind = "gauge") -> Family:
    return Family(f"gpudock_{name}", kind, what)


_BUILD = _family("build_info", "Constant 1, labelled with the version of gpudock.")
_SUCCESS = _family("collect_success", "Whether the GPUs could be read just now.")
_AGE = _family("collect_age_seconds", "Seconds since the GPUs were read last.")
_TOOK = _family("collect_duration_seconds", "Seconds that the last reading took.")
_ENGINE = _family("engine_up", "Whether a container engine answered when it was asked last.")
_COUNT = _family("gpus", "GPUs that could be read.")
_INFO = _family("gpu_info", "Constant 1, labelled with what a GPU is.")
_CLOCK = _family("gpu_clock_hertz", "Clocks of the GPU.")
_THROTTLED = _family("gpu_throttled", "Whether clocks are low for this reason.")
_ECC = _family("gpu_ecc_errors_total", "Errors of memory since the driver was loaded.", "counter")
_ROWS = _family("gpu_remapped_rows", "Rows of memory that were replaced, by the errors that made it necessary.")
_XIDS = _family("gpu_xid_errors_total", "Errors that the driver reported, by kind.", "counter")
_ACTIVE = _family("gpu_active_ratio", "How busy a part of the GPU was for ten seconds (Hopper and later).")
_HELD = _family("gpu_held", "Whether a process is on the GPU; absent: not told.")
_MIG_ACTIVE = _family("mig_active_ratio", "How busy a part of the GPU instance was for ten seconds (Hopper and later).")
_MIG_INFO = _family("mig_info", "Constant 1, labelled with what a MIG device is.")

FAMILIES = (
    *(_BUILD, _SUCCESS, _AGE, _TOOK, _ENGINE, _COUNT, _INFO),
    *(_family(f"gpu_{name}", what) for name, what, _ in _UTILIZATION),
    *(_family(f"gpu_{name}", what) for name, what, _ in _MEMORY),
    *(_family(f"gpu_{name}", what, kind) for name, kind, what, _ in _GPU),
    *(_CLOCK, _THROTTLED, _ECC, _ROWS, _XIDS, _ACTIVE, _HELD, _MIG_INFO, _MIG_ACTIVE),
    *(_family(f"mig_{name}", what.replace("GPU", "MIG device")) for name, what, _ in _MEMORY),
)
_GPU_LABELS = "gpu, uuid"
LABELS = {
    "gpudock_build_info": "version",
    "gpudock_engine_up": "engine",
    "gpudock_gpu_info": "gpu, uuid, name, bus_id, driver_version, cuda_version, host",
    "gpudock_gpu_clock_hertz": "gpu, uuid, clock",
    "gpudock_gpu_throttled": "gpu, uuid, reason",
    "gpudock_gpu_ecc_errors_total": "gpu, uuid, error",
    "gpudock_gpu_remapped_rows": "gpu, uuid, error",
    "gpudock_gpu_xid_errors_total": "gpu, uuid, xid",
    "gpudock_gpu_active_ratio": "gpu, uuid, part",
    "gpudock_mig_active_ratio": "gpu, uuid, mig, part",
    "gpudock_mig_info": "gpu, uuid, mig, mig_uuid, profile",
}


def labels_of(family: Family) -> str:
    """For the documentation."""
    name = family.name
    default = "gpu, uuid, mig" if name.startswith("gpudock_mig_") else _GPU_LABELS if "_gpu_" in name else ""
    return LABELS.get(name, default)


def metrics(sample: Sample) -> Iterator[Metric]:
    gpus = () if isinstance(sample.gpus, Missing) else sample.gpus
    known = not isinstance(sample.gpus, Missing)
    yield Metric(_BUILD, [(written([("version", __version__)]), 1)])
    yield Metric(_SUCCESS, [("", int(known and not sample.stale))])
    yield Metric(_AGE, [("", None if sample.never_read else round(sample.age, 3))])
    yield Metric(_TOOK, [("", sample.took)])
    yield Metric(_ENGINE, [(written([("engine", each.name)]), int(not each.problem)) for each in sample.engines])
    yield Metric(_COUNT, [("", None if sample.stale or not known else len(gpus))])
    labels = [(gpu, written([("gpu", str(gpu.index)), ("uuid", gpu.uuid)])) for gpu in gpus]
    yield Metric(_INFO, [(written(_info(gpu, sample)), 1) for gpu in gpus])
    for name, what, read in _UTILIZATION:
        family = _family(f"gpu_{name}", what)
        yield Metric(family, [(label, read(gpu.utilization)) for gpu, label in labels])
    for name, what, read_memory in _MEMORY:
        family = _family(f"gpu_{name}", what)
        yield Metric(family, [(label, read_memory(gpu.memory)) for gpu, label in labels])
    for name, kind, what, read_gpu in _GPU:
        family = _family(f"gpu_{name}", what, kind)
        yield Metric(family, [(label, read_gpu(gpu)) for gpu, label in labels])
    held = {each.gpu for each in sample.processes}
    yield Metric(_HELD, [(label, 1 if gpu.uuid in held else None if gpu.untold else 0) for gpu, label in labels])
    for family, label_name, read_parts in _PARTS:
        series = [
            (with_label(label, label_name, part), value) for gpu, label in labels for part, value in read_parts(gpu)
        ]
        yield Metric(family, series)
    yield from _mig(labels)


def _info(gpu: Gpu, sample: Sample) -> Iterable[tuple[str, str]]:
    return (
        ("gpu", str(gpu.index)),
        ("uuid", gpu.uuid),
        ("name", gpu.name if isinstance(gpu.name, str) else ""),
        ("bus_id", gpu.bus_id),
        ("driver_version", sample.driver if isinstance(sample.driver, str) else ""),
        ("cuda_version", sample.cuda if isinstance(sample.cuda, str) else ""),
        ("host", sample.host),
    )


def _clocks(gpu: Gpu) -> Iterator[tuple[str, Value]]:
    for name in ("graphics", "sm", "memory", "video"):
        yield name, hertz(getattr(gpu.clocks, name))


def _throttled(gpu: Gpu) -> Iterator[tuple[str, Value]]:
    if not isinstance(gpu.throttle, Missing):
        for reason in (*REASONS, "display_clock_setting"):
            yield reason, int(reason in gpu.throttle)


def _ecc(gpu: Gpu) -> Iterator[tuple[str, Value]]:
    yield "corrected", gpu.ecc.corrected_volatile
    yield "uncorrected", gpu.ecc.uncorrected_volatile


def _rows(gpu: Gpu) -> Iterator[tuple[str, Value]]:
    yield "corrected", gpu.remapped.corrected
    yield "uncorrected", gpu.remapped.uncorrected


def _xids(gpu: Gpu) -> Iterator[tuple[str, Value]]:
    if not isinstance(gpu.xids, Missing):
        for each in gpu.xids:
            yield str(each.code), each.times


def _active(of: Gpu | Instance) -> Iterator[tuple[str, Value]]:
    for part in ("graphics", "sm", "occupancy", "tensor", "dram", "encoder", "decoder"):
        yield part, getattr(of.profiling, part)


_Parts = Callable[[Gpu], Iterator[tuple[str, Value]]]
_PARTS: tuple[tuple[Family, str, _Parts], ...] = (
    (_CLOCK, "clock", _clocks),
    (_THROTTLED, "reason", _throttled),
    (_ECC, "error", _ecc),
    (_ROWS, "error", _rows),
    (_XIDS, "xid", _xids),
    (_ACTIVE, "part", _active),
)


def _mig(labels: list[tuple[Gpu, str]]) -> Iterator[Metric]:
    inside = [
        (each, with_label(label, "mig", f"{gpu.index}:{each.index}")) for gpu, label in labels for each in gpu.instances
    ]
    info = [
        with_label(with_label(label, "mig_uuid", each.uuid), "profile", str(each.profile))
        for each, label in inside
        if isinstance(each.profile, str)
    ]
    yield Metric(_MIG_INFO, [(label, 1) for label in info])
    active = [(with_label(label, "part", part), value) for each, label in inside for part, value in _active(each)]
    yield Metric(_MIG_ACTIVE, active)
    for name, what, read in _MEMORY:
        family = _family(f"mig_{name}", what.replace("GPU", "MIG device"))
        yield Metric(family, [(label, read(each.memory)) for each, label in inside])
