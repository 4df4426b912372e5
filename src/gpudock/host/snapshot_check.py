"""What a snapshot must fulfil beyond its types, so that nothing that uses one has to distrust it."""

import re
from collections.abc import Hashable, Iterable, Iterator

import msgspec

from gpudock.facts.base import Missing
from gpudock.facts.driver import DriverFiles
from gpudock.facts.gpu import Gpu
from gpudock.facts.snapshot import FORMAT, Snapshot

TEXT = 4096  # characters of one value
ITEMS = 100_000  # values in all

_UUID = r"[0-9A-Za-z]{1,16}(?:-[0-9A-Za-z]{1,16}){0,8}"
_VERSION = re.compile(r"\d{1,5}(?:\.\d{1,5}){0,3}")
_PATTERNS: dict[tuple[str, str], re.Pattern[str]] = {
    ("Snapshot", "taken"): re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"),
    ("Snapshot", "gpudock"): re.compile(r"[0-9][0-9A-Za-z.+-]{0,63}"),
    ("System", "architecture"): re.compile(r"[0-9a-z_]{1,16}"),
    ("System", "boot_id"): re.compile(r"[0-9a-f-]{1,64}"),
    ("PciFunction", "address"): re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]"),
    ("KernelDriver", "version"): _VERSION,
    ("Capability", "name"): re.compile(r"[a-z0-9]+(?:[/-][a-z0-9]+){0,7}"),
    ("Nvml", "driver"): _VERSION,
    ("Nvml", "cuda"): _VERSION,
    ("Gpu", "uuid"): re.compile("GPU-" + _UUID),
    ("Gpu", "bus_id"): re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]"),
    ("Gpu", "brand"): re.compile(r"[a-z0-9]{1,32}"),
    ("Gpu", "compute_capability"): re.compile(r"\d{1,3}\.\d{1,3}"),
    ("Gpu", "drm"): re.compile(r"(?:card|renderD)\d{1,7}"),
    ("MigInstance", "uuid"): re.compile(rf"MIG-(?:GPU-)?{_UUID}(?:/\d{{1,3}}/\d{{1,3}})?"),
    ("MigInstance", "profile"): re.compile(r"[0-9a-z.+-]{1,32}"),
    ("DriverFiles", "version"): _VERSION,
    ("DriverFile", "role"): re.compile("library|binary|xorg|firmware|config|data"),
    ("DriverFile", "version"): _VERSION,
    ("DriverFile", "name"): re.compile(r"[^/]+(?:/[^/]+){0,7}"),
    ("DriverFile", "links"): re.compile(r"[^/]+"),
    ("Elf", "soname"): re.compile(r"[^/]+"),
    ("Xid", "bus_id"): re.compile(r"[0-9a-f:.]{4,16}"),
    ("SpecState", "drivers"): _VERSION,
    ("ContainerFact", "id"): re.compile(r"[0-9a-f]{0,64}"),
    ("ContainerFact", "driver"): _VERSION,
}
_CHANNELS = "/dev/nvidia-caps-imex-channels/"
_CHANNEL = re.compile(_CHANNELS + r"channel(?:0|[1-9][0-9]{0,6})")
_PATHS = {
    "Roots": {"driver", "dev", "proc", "sys"},
    "Nvml": {"library"},
    "DeviceNode": {"path", "host"},
    "DriverFiles": {"root", "library_folders", "store"},
    "DriverFile": {"path", "host"},
    "Socket": {"path", "host"},
    "CdiSpecFile": {"path"},
    "PackageSource": {"path"},
    "Engine": {"program", "config_path", "data_root"},
    "DaemonJson": {"path"},
    "Disk": {"path"},
    "Program": {"path"},
    "Toolkit": {"path", "root"},
    "SpecState": {"path"},
}
_RANGES: dict[tuple[str, str], tuple[int, int]] = {
    ("PciFunction", "vendor"): (0, 0xFFFF),
    ("PciFunction", "device"): (0, 0xFFFF),
    ("PciFunction", "pci_class"): (0, 0xFFFFFF),
    ("DeviceNode", "major"): (0, (1 << 12) - 1),
    ("DeviceNode", "minor"): (0, (1 << 20) - 1),
    ("DeviceNode", "mode"): (0, 0o7777),
    ("DeviceNode", "uid"): (0, (1 << 32) - 1),
    ("DeviceNode", "gid"): (0, (1 << 32) - 1),
    ("DriverFile", "mode"): (0, 0o7777),
    ("DriverFile", "mtime_ns"): (-(1 << 63), (1 << 63) - 1),
    ("KernelDriver", "majors"): (0, (1 << 12) - 1),
    ("Capability", "minor"): (0, (1 << 20) - 1),
    ("Gpu", "index"): (0, 4095),
    ("Gpu", "minor"): (-1, (1 << 20) - 1),
    ("MigInstance", "index"): (0, 4095),
    ("MigInstance", "gi"): (0, 4095),
    ("MigInstance", "ci"): (0, 4095),
    ("GpuProcess", "pid"): (0, (1 << 32) - 1),
    ("System", "cgroup_version"): (1, 2),
    ("Elf", "bits"): (32, 64),
    ("Xid", "code"): (0, 9999),
    ("SpecState", "mode"): (0, 0o7777),
    ("Caller", "uid"): (0, (1 << 32) - 1),
}
_SIZE = (0, (1 << 63) - 1)  # every other number


def problem(snapshot: Snapshot) -> str | None:
    """The first thing that cannot be, or None."""
    if not 1 <= snapshot.format <= FORMAT:
        return f"its format is {snapshot.format}"
    for count, (kind, name, value) in enumerate(_leaves(snapshot)):
        if count > ITEMS:
            return f"it holds more than {ITEMS} values"
        wrong = _wrong(kind, name, value)
        if wrong:
            return f"{kind}.{name} {wrong}"
    return _repeated(snapshot) or _inconsistent(snapshot)


def _leaves(value: msgspec.Struct) -> Iterator[tuple[str, str, object]]:
    """(type, field, value) of every plain value; keys of mappings count as texts."""
    kind = type(value).__name__
    for name in value.__struct_fields__:
        todo = [getattr(value, name)]
        while todo:
            item = todo.pop()
            if isinstance(item, msgspec.Struct):
                yield from _leaves(item)
            elif isinstance(item, tuple):
                todo += item
            elif isinstance(item, dict):
                todo += item.values()
                yield from ((kind, name + " key", key) for key in item)
            elif item is not None:
                yield kind, name, item


def _wrong(kind: str, name: str, value: object) -> str | None:
    if isinstance(value, str):
        return _wrong_text(kind, name, value)
    if isinstance(value, int) and not isinstance(value, bool):
        low, high = _RANGES.get((kind, name), _SIZE)
        return None if low <= value <= high else f"is {value}, possible is {low} to {high}"
    return None


def _wrong_text(kind: str, name: str, value: str) -> str | None:
    if len(value) > TEXT:
        return f"is longer than {TEXT} characters"
    if not value.isprintable():
        return "holds control characters"
    if name in _PATHS.get(kind, ()):
        parts = value.split("/")
        return None if parts[0] == "" and ".." not in parts else f"is not a plain absolute path: {value[:80]}"
    pattern = _PATTERNS.get((kind, name))
    if pattern and not (pattern.fullmatch(value) and ".." not in value.split("/")):
        return f"cannot be {value[:80]!r}"
    return None


def _repeated(snapshot: Snapshot) -> str | None:
    instances = [instance for gpu in snapshot.gpus for instance in gpu.instances]
    files = snapshot.driver.files if isinstance(snapshot.driver, DriverFiles) else ()
    checks: list[tuple[str, Iterable[Hashable]]] = [
        ("GPU index", [gpu.index for gpu in snapshot.gpus]),
        ("GPU UUID", [gpu.uuid for gpu in snapshot.gpus]),
        ("GPU bus id", [gpu.bus_id for gpu in snapshot.gpus]),
        ("GPU minor", [gpu.minor for gpu in snapshot.gpus if gpu.minor >= 0]),
        ("MIG UUID", [instance.uuid for instance in instances]),
        ("device node", [node.path for node in snapshot.nodes]),
        ("PCI address", [function.address for function in snapshot.pci]),
        ("capability", [right.name for right in snapshot.kernel_driver.capabilities]),
        ("driver file", [(file.role, file.path, file.name) for file in files]),
    ]
    for what, values in checks:
        seen: set[Hashable] = set()
        for value in values:
            if value in seen:
                return f"two entries have the same {what}: {value}"
            seen.add(value)
    return None


def _inconsistent(snapshot: Snapshot) -> str | None:
    for gpu in snapshot.gpus:
        wrong = _wrong_gpu(gpu, wsl=snapshot.system.wsl)
        if wrong:
            return f"GPU {gpu.index} {wrong}"
    for node in snapshot.nodes:
        if node.path.startswith(_CHANNELS) and not _CHANNEL.fullmatch(node.path):
            return f"the IMEX channel {node.path[:80]} has no number"
    files = snapshot.driver
    if isinstance(files, Missing):
        return None
    root = files.root.rstrip("/")
    strays = (file.path for file in (*files.files, *files.stale) if file.host != root + file.path)
    stray = next(strays, None)
    return f"the driver file {stray} is not below its root" if stray else None


def _wrong_gpu(gpu: Gpu, *, wsl: bool) -> str | None:
    if gpu.minor < 0 and not wsl:
        return "has no minor, which is so only on WSL"
    if gpu.instances and gpu.mig is not True:
        return "has MIG instances without MIG"
    if len({each.index for each in gpu.instances}) < len(gpu.instances):
        return "has one MIG index twice"
    if len({(each.gi, each.ci) for each in gpu.instances}) < len(gpu.instances):
        return "has one MIG instance twice"
    return None
