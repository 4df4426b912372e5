"""A snapshot as text for people: what is wrong first, then one line for each GPU and engine. Pure."""

from collections.abc import Iterator, Sequence

from gpudock.facts.base import Missing
from gpudock.facts.driver import DriverFiles
from gpudock.facts.engine import Engine
from gpudock.facts.gpu import Gpu, Nvml
from gpudock.facts.snapshot import Snapshot

NVIDIA, DISPLAY = 0x10DE, 0x03  # PCI vendor, base class
GIB = 1 << 30
Row = Sequence[str]


def render(snapshot: Snapshot) -> str:
    parts = [
        "\n".join(_heading(snapshot)),
        "\n".join(f"WRONG  {line}" for line in wrong(snapshot)),
        "\n".join(_system(snapshot)),
        _table(_gpus(snapshot)),
        _table(_engines(snapshot)),
        _table(_specs(snapshot)),
    ]
    return "\n\n".join(part for part in parts if part)


def _heading(snapshot: Snapshot) -> Iterator[str]:
    if snapshot.roots.simulated:
        yield f"SIMULATED  These GPUs are not real: they are made of {snapshot.roots.driver}"


def wrong(snapshot: Snapshot) -> Iterator[str]:
    """Facts that keep GPUs out of containers, most basic first."""
    yield from _wrong_cards(snapshot)
    yield from _wrong_driver(snapshot)
    yield from _without_nodes(snapshot)
    for engine in () if isinstance(snapshot.engines, Missing) else snapshot.engines:
        if engine.config_error:
            yield f"{engine.name} cannot read {engine.config_path}: {engine.config_error}"
    for spec in snapshot.cdi_specs:
        if isinstance(spec.kind, Missing):
            yield f"{spec.path} is no CDI specification: {spec.kind.reason}"


def _wrong_cards(snapshot: Snapshot) -> Iterator[str]:
    cards = [function for function in snapshot.pci if function.vendor == NVIDIA and function.pci_class >> 16 == DISPLAY]
    for card in cards:
        if card.kernel_driver not in {"nvidia", None}:
            yield f"GPU {card.address} belongs to the kernel driver {card.kernel_driver}, not to nvidia"
    if not cards and not snapshot.gpus and not snapshot.system.wsl:
        yield "There is no NVIDIA GPU on the PCI bus"


def _wrong_driver(snapshot: Snapshot) -> Iterator[str]:
    module, files, nvml = snapshot.kernel_driver.version, snapshot.driver, snapshot.nvml
    needs_module = not snapshot.system.wsl
    if isinstance(module, Missing) and needs_module:
        yield f"The driver's version is not known: {module.reason}"
    if isinstance(files, Missing):
        yield f"There are no driver files: {files.reason}"
    elif isinstance(module, str) and isinstance(files.version, str) and files.version != module:
        yield f"The driver's files are version {files.version}, the loaded module is {module}: reboot or reload it"
    if isinstance(nvml, Nvml):
        yield from nvml.problems
    elif isinstance(module, str) or not needs_module:
        yield f"NVML does not work: {nvml.reason}"


def _without_nodes(snapshot: Snapshot) -> Iterator[str]:
    paths = {node.path for node in snapshot.nodes}
    if snapshot.gpus and snapshot.system.wsl:
        needed = {"/dev/dxg"}
    elif snapshot.gpus:
        needed = {"/dev/nvidiactl", "/dev/nvidia-uvm", *(f"/dev/nvidia{gpu.minor}" for gpu in snapshot.gpus)}
    else:
        needed = set()
    for path in sorted(needed - paths):
        yield f"The device node {path} is missing"


def _system(snapshot: Snapshot) -> Iterator[str]:
    system, kernel, files, nvml = snapshot.system, snapshot.kernel_driver, snapshot.driver, snapshot.nvml
    wsl = ", WSL" if system.wsl else ""
    yield f"System  {_text(system.os_name)}, Linux {_text(system.kernel)} {system.architecture}{wsl}"
    cgroup = f"cgroup version {_text(system.cgroup_version)}"
    yield f"        {cgroup}, init {_text(system.init)}, SELinux {_text(system.selinux)}"
    flavours = {True: " (open)", False: " (proprietary)"}
    flavour = flavours[kernel.open_module] if isinstance(kernel.open_module, bool) else ""
    cuda = "?" if isinstance(nvml, Missing) else _text(nvml.cuda)
    user = files.version if isinstance(files, DriverFiles) else Missing("none")
    yield f"Driver  module {_text(kernel.version)}{flavour}, files {_text(user)}, CUDA {cuda}"
    if isinstance(files, DriverFiles):
        stale = f", {len(files.stale)} of other versions left out" if files.stale else ""
        yield f"        {len(files.files)} files below {files.root}{stale}"


def _gpus(snapshot: Snapshot) -> Iterator[Row]:
    if not snapshot.gpus:
        return
    yield "GPU", "NAME", "MEMORY", "CC", "BUS", "NODE", "UUID", "STATE"
    for gpu in snapshot.gpus:
        node = f"nvidia{gpu.minor}" if gpu.minor >= 0 else "dxg"
        capability = _text(gpu.compute_capability)
        yield str(gpu.index), _text(gpu.name), _memory(gpu.memory), capability, gpu.bus_id, node, gpu.uuid, _state(gpu)
        for each in gpu.instances:
            yield (
                f"{gpu.index}:{each.index}",
                f"  MIG {_text(each.profile)}",
                _memory(each.memory),
                "",
                "",
                "",
                each.uuid,
                "",
            )


def _state(gpu: Gpu) -> str:
    words = []
    if gpu.mig is True:
        words.append("MIG" if gpu.instances else "MIG without known instances")
    if gpu.persistence is False:
        words.append("no persistence")
    if isinstance(gpu.processes, tuple) and gpu.processes:
        pids = ", ".join(str(process.pid) for process in gpu.processes[:3])
        words.append(f"in use by {pids}" + (", ..." if len(gpu.processes) > 3 else ""))
    if isinstance(gpu.processes, Missing):
        words.append("use unknown")
    return "; ".join(words) or "free"


def _engines(snapshot: Snapshot) -> Iterator[Row]:
    if isinstance(snapshot.engines, Missing):
        return
    yield "ENGINE", "VERSION", "CDI", "RUNTIMES", "NOTES"
    for engine in snapshot.engines:
        cdi = {True: "yes", False: "no"}.get(engine.cdi, "?") if isinstance(engine.cdi, bool) else "?"
        yield engine.name, _text(engine.version), cdi, ",".join(engine.runtimes) or "-", "; ".join(_notes(engine))
    if not snapshot.engines:
        yield "none", "", "", "", "install podman or docker"


def _notes(engine: Engine) -> Iterator[str]:
    if engine.problem:
        yield engine.problem
    if engine.rootless is True:
        yield "rootless"
    if engine.context:
        yield f"context {engine.context}"
    if engine.remote:
        yield "on another machine"


def _specs(snapshot: Snapshot) -> Iterator[Row]:
    if not snapshot.cdi_specs:
        return
    yield "SPECIFICATION", "KIND", "CDI", "DEVICES"
    for spec in snapshot.cdi_specs:
        more = ", ..." if len(spec.devices) > 6 else ""
        yield spec.path, _text(spec.kind), _text(spec.version), ", ".join(spec.devices[:6]) + more


def _text(value: object) -> str:
    return "?" if isinstance(value, Missing) else str(value)


def _memory(value: int | Missing) -> str:
    return "?" if isinstance(value, Missing) else f"{value / GIB:.1f} GiB"


def _table(rows: Iterator[Row]) -> str:
    lines = list(rows)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines)
