"""The minors of /dev/nvidia-caps: a fixed numbering that the driver makes for 32 GPUs, whatever is in the machine."""

from collections.abc import Iterator

CONFIG, MONITOR = 1, 2
_GPUS, _GPU_INSTANCES, _COMPUTE_INSTANCES = 32, 15, 8
_FIRST = 3
FABRIC_IMEX = _FIRST + _GPUS * _GPU_INSTANCES * (1 + _COMPUTE_INSTANCES)


def gpu_instance(gpu_minor: int, gi: int) -> int:
    return _FIRST + (gpu_minor * _GPU_INSTANCES + gi) * (1 + _COMPUTE_INSTANCES)


def compute_instance(gpu_minor: int, gi: int, ci: int) -> int:
    return gpu_instance(gpu_minor, gi) + 1 + ci


def mig_minors() -> str:
    """/proc/driver/nvidia-caps/mig-minors."""
    return "".join(f"{name} {minor}\n" for name, minor in _mig_minors())


def _mig_minors() -> Iterator[tuple[str, int]]:
    yield "config", CONFIG
    yield "monitor", MONITOR
    for gpu in range(_GPUS):
        for gi in range(_GPU_INSTANCES):
            yield f"gpu{gpu}/gi{gi}/access", gpu_instance(gpu, gi)
            for ci in range(_COMPUTE_INSTANCES):
                yield f"gpu{gpu}/gi{gi}/ci{ci}/access", compute_instance(gpu, gi, ci)
