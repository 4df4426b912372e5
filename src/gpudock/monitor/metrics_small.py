"""The exporters of the nvidia-docker years, by the name of their author: --compat NAME.

Labels, types and help texts are theirs, and so is what each of them does with a reading that is missing.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from gpudock.facts.base import Missing
from gpudock.monitor.metric import Family, Labels, Metric, Value, written
from gpudock.monitor.sample import Gpu, Sample


class Small(NamedTuple):
    port: int
    metrics: Callable[[Sample], Iterator[Metric]]
    paths: str  # what is answered with metrics: "/{path:path}" is everything
    families: tuple[Family, ...]


Table = tuple[tuple[str, str, Callable[[Gpu], Value]], ...]


def _gpus(sample: Sample) -> tuple[Gpu, ...]:
    return () if isinstance(sample.gpus, Missing) else sample.gpus


def _families(table: Table, *others: tuple[str, str]) -> tuple[Family, ...]:
    rows = [*((name, what) for name, what, _ in table), *others]
    return tuple(Family(name, "gauge", what) for name, what in rows)


def _each(table: Table, gpus: tuple[Gpu, ...], labels: Callable[[Gpu], Labels]) -> Iterator[Metric]:
    written_ = [(gpu, written(labels(gpu))) for gpu in gpus]
    for name, what, read in table:
        yield Metric(Family(name, "gauge", what), [(label, read(gpu)) for gpu, label in written_])


def _used(gpu: Gpu) -> Value:
    """As the first version of NVML's call told it: what the driver keeps is used."""
    used, reserved = gpu.memory.used, gpu.memory.reserved
    return used if isinstance(used, Missing) or isinstance(reserved, Missing) else used + reserved


def _milliwatts(gpu: Gpu) -> Value:
    return gpu.power.draw if isinstance(gpu.power.draw, Missing) else gpu.power.draw * 1000


def _name(gpu: Gpu) -> str:
    return gpu.name if isinstance(gpu.name, str) else ""


# roguePanda/nvidia_exporter: everything is a float, and what cannot be read is 0.0.

_ROGUEPANDA: Table = (
    ("nvidia_gpu_temp_degC", "GPU Temperature (in degrees Celsius)", lambda gpu: gpu.temperature.gpu),
    ("nvidia_mem_total_bytes", "Total installed FB memory (in  bytes)", lambda gpu: gpu.memory.total),
    ("nvidia_mem_free_bytes", "Unallocated FB memory (in bytes)", lambda gpu: gpu.memory.free),
    ("nvidia_mem_used_bytes", "Allocated FB memory (in bytes)", _used),
    (
        "nvidia_shutdown_temp_degC",
        "Shutdown temperature threshold (in degrees Celsius)",
        lambda gpu: gpu.temperature.shutdown,
    ),
    (
        "nvidia_slowdown_temp_degC",
        "Slowdown temperature threshold (in degrees Celsius)",
        lambda gpu: gpu.temperature.slowdown,
    ),
)
_COUNT = Family("nvidia_device_count", "gauge", "Number of compute devices in the system")
_PROCESSES = Family("nvidia_process_count", "gauge", "Number of running compute processes")


def _roguepanda(sample: Sample) -> Iterator[Metric]:
    gpus = _gpus(sample)

    def labels(gpu: Gpu) -> Labels:
        return ("device_index", str(gpu.index)), ("device_name", _name(gpu))

    for family, series in _each(_ROGUEPANDA, gpus, labels):
        yield Metric(family, [(label, _float(value)) for label, value in series])
    running: Mapping[str, int] = {
        gpu.uuid: len({each.pid for each in sample.processes if each.gpu == gpu.uuid and each.kind != "G"})
        for gpu in gpus
    }
    yield Metric(_PROCESSES, [(written(labels(gpu)), float(running[gpu.uuid])) for gpu in gpus])
    yield Metric(_COUNT, [("", float(len(gpus)))])


def _float(value: Value) -> float:
    return 0.0 if value is None or isinstance(value, Missing) else float(value)


# mindprince/nvidia_gpu_prometheus_exporter: what cannot be read is left out.

_MINDPRINCE: Table = (
    ("nvidia_gpu_memory_used_bytes", "Memory used by the GPU device in bytes", _used),
    ("nvidia_gpu_memory_total_bytes", "Total memory of the GPU device in bytes", lambda gpu: gpu.memory.total),
    (
        "nvidia_gpu_duty_cycle",
        "Percent of time over the past sample period during which one or more kernels were executing on the GPU device",
        lambda gpu: gpu.utilization.gpu,
    ),
    ("nvidia_gpu_power_usage_milliwatts", "Power usage of the GPU device in milliwatts", _milliwatts),
    (
        "nvidia_gpu_temperature_celsius",
        "Temperature of the GPU device in celsius",
        lambda gpu: gpu.temperature.gpu,
    ),
    ("nvidia_gpu_fanspeed_percent", "Fanspeed of the GPU device as a percent of its maximum", lambda gpu: gpu.fan),
)
_DEVICES = Family("nvidia_gpu_num_devices", "gauge", "Number of GPU devices")


def _mindprince(sample: Sample) -> Iterator[Metric]:
    gpus = _gpus(sample)
    yield Metric(_DEVICES, [("", len(gpus))])
    yield from _each(
        _MINDPRINCE, gpus, lambda gpu: (("minor_number", str(gpu.minor)), ("uuid", gpu.uuid), ("name", _name(gpu)))
    )


# BugRoger/nvidia-exporter. It gives nvidia_info the name as "uuid" and the UUID as "name"; here they are right.

_BUGROGER: Table = (
    ("nvidia_temperatures", "Temperature", lambda gpu: gpu.temperature.gpu),
    ("nvidia_power_usage", "Power usage (in milliwatts)", _milliwatts),
    ("nvidia_fanspeed", "Fan speed (in %)", lambda gpu: gpu.fan),
    ("nvidia_memory_total", "Total memory (in bytes)", lambda gpu: gpu.memory.total),
    ("nvidia_memory_used", "Used memory (in bytes)", _used),
    ("nvidia_utilization_gpu", "GPU utilization (in %)", lambda gpu: gpu.utilization.gpu),
    ("nvidia_utilization_memory", "Memory utilization (in %)", lambda gpu: gpu.utilization.memory),
)
_UP = Family("nvidia_up", "gauge", "NVML Metric Collection Operational")
_DRIVER = Family("nvidia_driver_info", "gauge", "NVML Info")
_INFO = Family("nvidia_info", "gauge", "Info as reported by the device")
_DEVICE_COUNT = Family("nvidia_device_count", "gauge", "Count of found nvidia devices")


def _minor(gpu: Gpu) -> str:
    """Tells GPUs apart also where they have none, as with WSL."""
    return str(gpu.minor) if gpu.minor >= 0 else gpu.uuid


def _bugroger(sample: Sample) -> Iterator[Metric]:
    gpus = _gpus(sample)
    yield Metric(_UP, [("", int(not isinstance(sample.gpus, Missing) and not sample.stale))])
    yield Metric(_DRIVER, [(written([("version", sample.driver)]), 1)] if isinstance(sample.driver, str) else [])
    yield Metric(_DEVICE_COUNT, [("", len(gpus))])
    info = [
        written([("index", str(gpu.index)), ("minor", _minor(gpu)), ("uuid", gpu.uuid), ("name", _name(gpu))])
        for gpu in gpus
    ]
    yield Metric(_INFO, [(label, 1) for label in info])
    yield from _each(_BUGROGER, gpus, lambda gpu: (("minor", _minor(gpu)),))


SMALL = {
    "roguepanda": Small(9200, _roguepanda, "/{path:path}", (*_families(_ROGUEPANDA), _PROCESSES, _COUNT)),
    "mindprince": Small(9445, _mindprince, "/{path:path}", (*_families(_MINDPRINCE), _DEVICES)),
    "bugroger": Small(9401, _bugroger, "/metrics", (*_families(_BUGROGER), _UP, _DRIVER, _DEVICE_COUNT, _INFO)),
}
