"""The names of nvidia_gpu_exporter (nvidia_smi_*), on request: its dashboards and alerts then work.

A reading that is missing has no series, as there.
"""

from collections.abc import Callable, Iterable, Iterator

from gpudock.facts.base import Missing
from gpudock.monitor.metric import Family, Kind, Metric, Value, with_label, written
from gpudock.monitor.metrics_dcgm import bus_id
from gpudock.monitor.sample import Gpu, Instance, Sample

PREFIX = "nvidia_smi_"
_MHZ = 1_000_000


def ratio(value: float | Missing) -> Value:
    return value if isinstance(value, Missing) else value / 100


def hertz(value: int | Missing) -> Value:
    return value if isinstance(value, Missing) else value * _MHZ


_TABLE: tuple[tuple[str, Callable[[Gpu], Value]], ...] = (
    ("index", lambda gpu: gpu.index),
    ("utilization_gpu_ratio", lambda gpu: ratio(gpu.utilization.gpu)),
    ("utilization_memory_ratio", lambda gpu: ratio(gpu.utilization.memory)),
    ("utilization_encoder_ratio", lambda gpu: ratio(gpu.utilization.encoder)),
    ("utilization_decoder_ratio", lambda gpu: ratio(gpu.utilization.decoder)),
    ("memory_total_bytes", lambda gpu: gpu.memory.total),
    ("memory_used_bytes", lambda gpu: gpu.memory.used),
    ("memory_free_bytes", lambda gpu: gpu.memory.free),
    ("memory_reserved_bytes", lambda gpu: gpu.memory.reserved),
    ("temperature_gpu", lambda gpu: gpu.temperature.gpu),
    ("temperature_memory", lambda gpu: gpu.temperature.memory),
    ("fan_speed_ratio", lambda gpu: ratio(gpu.fan)),
    ("power_draw_watts", lambda gpu: gpu.power.draw),
    ("power_limit_watts", lambda gpu: gpu.power.limit),
    ("enforced_power_limit_watts", lambda gpu: gpu.power.enforced),
    ("power_default_limit_watts", lambda gpu: gpu.power.default),
    ("power_min_limit_watts", lambda gpu: gpu.power.lowest),
    ("power_max_limit_watts", lambda gpu: gpu.power.highest),
    ("pstate", lambda gpu: gpu.pstate),
    ("compute_mode", lambda gpu: gpu.compute_mode),
    ("clocks_current_graphics_clock_hz", lambda gpu: hertz(gpu.clocks.graphics)),
    ("clocks_current_sm_clock_hz", lambda gpu: hertz(gpu.clocks.sm)),
    ("clocks_current_memory_clock_hz", lambda gpu: hertz(gpu.clocks.memory)),
    ("clocks_current_video_clock_hz", lambda gpu: hertz(gpu.clocks.video)),
    ("clocks_max_graphics_clock_hz", lambda gpu: hertz(gpu.clocks_max.graphics)),
    ("clocks_max_sm_clock_hz", lambda gpu: hertz(gpu.clocks_max.sm)),
    ("clocks_max_memory_clock_hz", lambda gpu: hertz(gpu.clocks_max.memory)),
    ("pcie_link_gen_current", lambda gpu: gpu.pcie.generation),
    ("pcie_link_gen_max", lambda gpu: gpu.pcie.generation_max),
    ("pcie_link_width_current", lambda gpu: gpu.pcie.width),
    ("pcie_link_width_max", lambda gpu: gpu.pcie.width_max),
    ("pcie_throughput_tx_bytes_per_second", lambda gpu: gpu.pcie.sent),
    ("pcie_throughput_rx_bytes_per_second", lambda gpu: gpu.pcie.received),
    ("persistence_mode", lambda gpu: gpu.persistence),
    ("ecc_mode_current", lambda gpu: gpu.ecc.enabled),
    ("ecc_errors_corrected_volatile_total", lambda gpu: gpu.ecc.corrected_volatile),
    ("ecc_errors_uncorrected_volatile_total", lambda gpu: gpu.ecc.uncorrected_volatile),
    ("ecc_errors_corrected_aggregate_total", lambda gpu: gpu.ecc.corrected_aggregate),
    ("ecc_errors_uncorrected_aggregate_total", lambda gpu: gpu.ecc.uncorrected_aggregate),
    ("remapped_rows_correctable", lambda gpu: gpu.remapped.corrected),
    ("remapped_rows_uncorrectable", lambda gpu: gpu.remapped.uncorrected),
    ("remapped_rows_pending", lambda gpu: gpu.remapped.pending),
    ("remapped_rows_failure", lambda gpu: gpu.remapped.failed),
    ("retired_pages_pending", lambda gpu: gpu.ecc.retired_pending),
    ("encoder_stats_session_count", lambda gpu: gpu.encoder.sessions),
    ("encoder_stats_average_fps", lambda gpu: gpu.encoder.fps),
    ("encoder_stats_average_latency", lambda gpu: gpu.encoder.latency),
    ("fabric_state", lambda gpu: gpu.fabric),
    ("gpu_recovery_action", lambda gpu: gpu.recovery),
)
REASONS = (
    *("gpu_idle", "applications_clocks_setting", "sw_power_cap", "hw_slowdown", "sync_boost", "sw_thermal_slowdown"),
    *("hw_thermal_slowdown", "hw_power_brake_slowdown"),
)
_MIG: tuple[tuple[str, Callable[[Instance], Value]], ...] = (
    ("mig_memory_total_bytes", lambda mig: mig.memory.total),
    ("mig_memory_used_bytes", lambda mig: mig.memory.used),
    ("mig_memory_free_bytes", lambda mig: mig.memory.free),
    ("mig_memory_reserved_bytes", lambda mig: mig.memory.reserved),
    ("mig_graphics_activity_ratio", lambda mig: mig.profiling.graphics),
    ("mig_sm_activity_ratio", lambda mig: mig.profiling.sm),
    ("mig_sm_occupancy_ratio", lambda mig: mig.profiling.occupancy),
    ("mig_tensor_activity_ratio", lambda mig: mig.profiling.tensor),
)


def _family(name: str, kind: Kind = "gauge", what: str = "") -> Family:
    return Family(PREFIX + name, kind, what or f"{name} (GPU).")


_INFO = _family("gpu_info", what="A metric with a constant '1' value labeled by GPU information.")
_ENERGY = _family("energy_joules_total", "counter", "Energy that the GPU took since the driver was loaded.")
_XIDS = _family("xid_errors_total", "counter", "Errors that the driver reported, by kind.")
_XID_TIME = _family("xid_last_timestamp_seconds", what="When an error of this kind was reported last.")
_MIG_INFO = _family("mig_info", what="A metric with a constant '1' value labeled by MIG device.")
_APP_MEMORY = _family("compute_app_used_memory_bytes", what="Memory that a process uses.")
_APP_INFO = _family("compute_app_info", what="A metric with a constant '1' value labeled by process.")
_SUCCESS = _family("last_collect_success", what="Whether the last reading of the GPUs succeeded.")
_WHEN = _family("last_collect_success_timestamp_seconds", what="When the GPUs were read last.")
_TOOK = _family("last_collect_duration_seconds", what="How long the last reading took.")
_CODE = _family("nvml_return_code", what="0 while NVML answers, 999 otherwise.")
_APPS = _family("compute_apps_last_collect_success", what="Whether the processes could be read.")

FAMILIES = (
    *(_family(name) for name, _ in _TABLE),
    *(_family(f"clocks_{spelling}_reasons_{reason}") for spelling in ("event", "throttle") for reason in REASONS),
    *(_family(name) for name, _ in _MIG),
    *(_INFO, _ENERGY, _XIDS, _XID_TIME, _MIG_INFO, _SUCCESS, _WHEN, _TOOK, _CODE, _APPS),
)
OF_PROCESSES = (_APP_MEMORY, _APP_INFO)


def metrics(sample: Sample, *, processes: bool) -> Iterator[Metric]:
    """`processes`: also series with a process id, which come and go."""
    gpus = () if isinstance(sample.gpus, Missing) else sample.gpus
    labels = [(gpu, written([("uuid", uuid(gpu.uuid))])) for gpu in gpus]
    for name, read in _TABLE:
        yield Metric(_family(name), [(label, read(gpu)) for gpu, label in labels])
    yield from _reasons(labels)
    yield Metric(_ENERGY, [(label, gpu.energy) for gpu, label in labels])
    yield Metric(_INFO, [(written(_info(gpu, sample)), 1) for gpu in gpus])
    for family, field in ((_XIDS, "times"), (_XID_TIME, "last")):
        series = [
            (with_label(label, "xid", str(each.code)), getattr(each, field))
            for gpu, label in labels
            if not isinstance(gpu.xids, Missing)
            for each in gpu.xids
        ]
        yield Metric(family, series)
    yield from _mig(gpus)
    if processes:
        yield from _apps(sample)
    well = not isinstance(sample.gpus, Missing) and not sample.stale
    yield Metric(_SUCCESS, [("", int(well))])
    yield Metric(_WHEN, [("", None if sample.never_read else round(sample.time, 3))])
    yield Metric(_TOOK, [("", sample.took)])
    yield Metric(_CODE, [("", 0 if well else 999)])
    yield Metric(_APPS, [("", int(well and not any(gpu.untold for gpu in gpus)))])


def uuid(text: str) -> str:
    return text.removeprefix("GPU-").lower()


def _info(gpu: Gpu, sample: Sample) -> Iterable[tuple[str, str]]:
    def said(value: str | Missing) -> str:
        return value if isinstance(value, str) else ""

    return (
        ("uuid", uuid(gpu.uuid)),
        ("index", str(gpu.index)),
        ("name", said(gpu.name)),
        ("driver_version", said(sample.driver)),
        ("cuda_version", said(sample.cuda)),
        ("pci_bus_id", bus_id(gpu)),
        ("vbios_version", said(gpu.vbios)),
        ("serial", said(gpu.serial)),
        ("compute_cap", said(gpu.compute_capability)),
    )


def _reasons(labels: list[tuple[Gpu, str]]) -> Iterator[Metric]:
    for spelling in ("event", "throttle"):
        for reason in REASONS:
            family = _family(f"clocks_{spelling}_reasons_{reason}")
            series = [
                (label, None if isinstance(gpu.throttle, Missing) else int(reason in gpu.throttle))
                for gpu, label in labels
            ]
            yield Metric(family, series)


def _mig(gpus: Iterable[Gpu]) -> Iterator[Metric]:
    inside = [
        (gpu, each, written([("uuid", uuid(gpu.uuid)), ("gpu_instance_id", str(each.gi))]))
        for gpu in gpus
        for each in gpu.instances
    ]
    once = {label: each for _, each, label in inside}  # compute instances share what their GPU instance has
    for name, read in _MIG:
        yield Metric(_family(name), [(label, read(each)) for label, each in once.items()])
    info = [
        written(
            [
                ("uuid", uuid(gpu.uuid)),
                ("mig_uuid", each.uuid.removeprefix("MIG-").lower()),
                ("gpu_instance_id", str(each.gi)),
                ("compute_instance_id", str(each.ci)),
                ("profile", each.profile if isinstance(each.profile, str) else ""),
            ]
        )
        for gpu, each, _ in inside
    ]
    yield Metric(_MIG_INFO, [(label, 1) for label in info])


def _apps(sample: Sample) -> Iterator[Metric]:
    labels = [
        (each, written([("uuid", uuid(each.gpu)), ("pid", str(each.pid)), ("process_name", each.name)]))
        for each in {(each.gpu, each.pid): each for each in sample.processes if each.kind != "G"}.values()
    ]
    yield Metric(_APP_MEMORY, [(label, each.memory) for each, label in labels])
    yield Metric(_APP_INFO, [(label, 1) for _, label in labels])
