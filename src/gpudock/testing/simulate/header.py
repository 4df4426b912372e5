"""data.h: the description as C, compiled into the simulated libraries so that they need no file and no parser."""

import functools
from collections.abc import Iterable

from gpudock.testing.simulate import capabilities
from gpudock.testing.simulate.machine import Description, Gpu, Instance, Process

_NO_INSTANCE = 0xFFFFFFFF
_UNKNOWN_MEMORY = 0xFFFFFFFFFFFFFFFF
_MIG = {"unsupported": -1, "disabled": 0, "enabled": 1}
_FAULTS = {"error": "FAULT_ERROR", "hang": "FAULT_HANG", "stuck": "FAULT_STUCK", "segfault": "FAULT_SEGFAULT"}
_ARCHITECTURES = {(3, 0): 2, (5, 0): 3, (6, 0): 4, (7, 0): 5, (7, 5): 6, (8, 0): 7, (8, 9): 8, (9, 0): 9, (10, 0): 10}


def text(description: Description, folder: str) -> str:
    """The header for libraries that will lie in `folder` (absolute)."""
    gpus, faults = description.gpus, description.faults
    cuda_major, cuda_minor = description.cuda.split(".")
    instances = [(index, gpu, instance) for index, gpu in enumerate(gpus) for instance in gpu.instances]
    processes = [line for index, gpu in enumerate(gpus) for line in _processes(index, gpu)]
    mismatch = description.module is not None and description.module != description.driver
    return "\n".join(
        [
            f"#define SIMULATED_FOLDER {_string(folder)}",
            f"#define DRIVER_VERSION {_string(description.driver)}",
            f"#define NVML_VERSION {_string(f'{cuda_major}.{description.driver}')}",
            f"#define CUDA_VERSION {int(cuda_major) * 1000 + int(cuda_minor) * 10}",
            f"#define VERSION_MISMATCH {int(mismatch)}",
            f"#define NVIDIA_MAJOR {description.majors.nvidia}",
            f"#define UVM_MAJOR {description.majors.nvidia_uvm}",
            f"#define CAPS_MAJOR {description.majors.nvidia_caps}",
            f"#define GPU_COUNT {len(gpus)}u",
            f"#define INSTANCE_COUNT {len(instances)}u",
            f"#define PROCESS_COUNT {len(processes)}u",
            _array("struct gpu gpus[GPU_COUNT + 1]", map(_gpu, gpus)),
            _array("struct instance instances[INSTANCE_COUNT + 1]", [_instance(*each) for each in instances]),
            _array("struct process processes[PROCESS_COUNT + 1]", processes),
            _array("struct fault faults[]", [_fault(name, what) for name, what in sorted(faults.items())]),
            "",
        ]
    )


@functools.cache
def architecture(compute_capability: str) -> int:
    """nvmlDeviceArchitecture_t of "9.0"."""
    major, minor = map(int, compute_capability.split("."))
    return max((number for since, number in _ARCHITECTURES.items() if since <= (major, minor)), default=0)


def _array(declaration: str, rows: Iterable[str]) -> str:
    return f"static const {declaration} = {{\n" + "".join(f"    {{{row}}},\n" for row in rows) + "    {0}};"


def _string(value: str) -> str:
    # Octal escapes end after three digits, so nothing that follows can join them; bytes, because paths are bytes.
    plain = bytes(range(0x20, 0x7F)).translate(None, b'"\\?')
    data = value.encode(errors="surrogateescape")
    return '"' + "".join(chr(byte) if byte in plain else f"\\{byte:03o}" for byte in data) + '"'


def _gpu(gpu: Gpu) -> str:
    domain, bus, slot = gpu.bus_id.partition(".")[0].split(":")
    function = gpu.bus_id.rpartition(".")[2]
    values: list[str | int] = [
        _string(gpu.uuid),
        _string(gpu.name),
        _string(f"{int(domain, 16):08X}:{bus}:{slot}.{function}".upper()),
        _string(f"{domain[-4:]}:{bus}:{slot}.{function}".upper()),
        int(domain, 16),
        int(bus, 16),
        int(slot, 16),
        f"0x{gpu.pci_device:04x}10deu",
        f"0x{gpu.pci_subsystem:04x}10deu",
        gpu.minor,
        gpu.brand,
        architecture(gpu.compute_capability),
        *gpu.compute_capability.split("."),
        _MIG[gpu.mig],
        f"{gpu.memory}ull",
        f"{gpu.reserved}ull",
        int(gpu.persistence),
        gpu.temperature,
        gpu.power,
        gpu.power_limit,
        gpu.utilization,
        gpu.memory_utilization,
        gpu.multiprocessors,
        gpu.swing,
        gpu.encoder,
        gpu.decoder,
        gpu.clock,
        gpu.memory_clock,
        gpu.slowdown,
        gpu.shutdown,
        gpu.pcie,
        gpu.links,
        -1 if gpu.fan is None else gpu.fan,
        f"{gpu.corrected}ull",
        f"{gpu.uncorrected}ull",
        gpu.xid,
    ]
    return ", ".join(map(str, values))


def _instance(index: int, gpu: Gpu, instance: Instance) -> str:
    values: list[str | int] = [
        _string(instance.uuid),
        _string(f"{gpu.name} MIG {instance.profile}"),
        index,
        instance.gi,
        instance.ci,
        capabilities.gpu_instance(gpu.minor, instance.gi),
        capabilities.compute_instance(gpu.minor, instance.gi, instance.ci),
        f"{instance.memory}ull",
        instance.multiprocessors,
        instance.copy_engines,
        instance.decoders,
        instance.encoders,
        instance.jpegs,
        instance.ofas,
        instance.gi_slices,
        instance.ci_slices,
    ]
    return ", ".join(map(str, values))


def _processes(index: int, gpu: Gpu) -> list[str]:
    own = [_process(index, _NO_INSTANCE, _NO_INSTANCE, process) for process in gpu.processes]
    return own + [
        _process(index, instance.gi, instance.ci, process)
        for instance in gpu.instances
        for process in instance.processes
    ]


def _process(index: int, gi: int, ci: int, process: Process) -> str:
    used = _UNKNOWN_MEMORY if process.used_memory is None else process.used_memory
    kind = f"{int(process.type == 'G')}, {process.utilization}"
    return f"{index}, {gi}u, {ci}u, {process.pid}, {used}ull, {kind}, {_string(process.name)}"


def _fault(function: str, what: str) -> str:
    kind, _, code = what.partition(":")
    return f"{_string(function)}, {_FAULTS[kind]}, {code or 0}"
