"""Whether this machine is still the one that a start plan was made for. Cheap: a few small files of /proc and stats."""

import os

from gpudock.start import reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Optional

    Present = Optional[Callable[[str], object]]

    from gpudock.plan.document import FileIdentity, Key

_READ_LIMIT = 1 << 20
_UNKNOWN = "?"  # the driver writes GPU-????????-... until somebody has opened the GPU


def difference(key: "Key", present: "Present" = None) -> "Optional[str]":
    """The first thing that is no longer as it was, in words; None when the plan still fits.

    Only what the plan speaks of is looked at: a GPU or device class that came later does no harm. `present` tells by
    its path whether a container has a device node: other GPUs and MIG devices than its own may go without harm to it.
    """
    return (
        _boot(key)
        or _module(key)
        or _majors(key["majors"], read_majors(key["proc"]))
        or _gpus(key, present)
        or _mig(key, present)
        or _files(key["files"])
    )


def read_boot_id() -> str:
    """Of the real machine, also when GPUs are simulated."""
    return _read("/proc/sys/kernel/random/boot_id").strip()


def read_module(sys: str) -> str:
    """The loaded kernel module's version, "" when none is loaded."""
    return _read(f"{sys}/module/nvidia/version").strip()


def read_majors(proc: str) -> "dict[str, int]":
    """Major numbers of the character devices: {"nvidia": 195, "nvidia-uvm": 238, "infiniband_verbs": 231, ...}."""
    characters = _read(f"{proc}/devices").partition("Block devices:")[0]
    rows = [line.split() for line in characters.splitlines()]
    return {row[1]: int(row[0]) for row in rows if len(row) == 2 and row[0].isdigit()}


def read_gpus(proc: str, wanted: "Optional[set[str]]" = None) -> "dict[str, list[str]]":
    """PCI bus id ("0000:00:06.0") -> [minor, UUID] of each GPU that the driver runs; "" for what it does not say.

    Only those of the bus ids `wanted`, unless None: one that is ill may take long to answer.
    """
    folder = f"{proc}/driver/nvidia/gpus"
    found = {}
    for name in _names(folder):
        if wanted is not None and bus_id(name) not in wanted:
            continue
        rows = [line.partition(":") for line in _read(f"{folder}/{name}/information").splitlines()]
        fields = {field.strip(): value.strip() for field, _, value in rows}
        found[bus_id(name)] = [fields.get("Device Minor", ""), fields.get("GPU UUID", "")]
    return found


def bus_id(text: str) -> str:
    """The kernel's spelling; NVML writes the domain with eight digits, and in upper case."""
    domain, _, rest = text.lower().partition(":")
    return f"{domain.lstrip('0').rjust(4, '0')}:{rest}"


def read_mig_minors(proc: str) -> "dict[str, int]":
    """Minors of the capability nodes: {"gpu0/gi1/access": 12, ...}, whether or not the instance exists."""
    rows = [line.split() for line in _read(f"{proc}/driver/nvidia-caps/mig-minors").splitlines()]
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}


def read_mig_minor(proc: str, name: str) -> "Optional[int]":
    """Of one MIG instance's capability "gpu0/gi1/access"; None when the driver has no file for it or says nothing.

    The table of all that could exist has thousands of lines: reading it takes longer than all the rest here.
    """
    gpu, _, rest = name.partition("/")
    for line in _read(f"{proc}/driver/nvidia/capabilities/{gpu}/mig/{rest}").splitlines():
        field, _, value = line.partition(":")
        if field == "DeviceFileMinor" and value.strip().isdigit():
            return int(value)
    return None


def exists(path: str) -> bool:
    try:
        os.stat(path)
    except OSError:
        return False
    return True


def identity(path: str) -> "Optional[FileIdentity]":
    """What tells whether this file of the driver tree is still as it was put there; None when it is gone."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return {"host": path, "size": found.st_size, "mtime_ns": found.st_mtime_ns}


def _boot(key: "Key") -> "Optional[str]":
    return None if read_boot_id() == key["boot_id"] else "the machine has been started again since"


def _module(key: "Key") -> "Optional[str]":
    loaded = read_module(key["sys"]) if key["module"] else ""
    if loaded == key["module"]:
        return None
    return f"driver {loaded} is loaded, the plan is for {key['module']}" if loaded else "no NVIDIA driver is loaded"


def _majors(planned: "dict[str, int]", current: "dict[str, int]") -> "Optional[str]":
    for name, major in planned.items():
        if current.get(name) != major:
            return f"the device number of {name} is {current.get(name, 'gone')}, the plan has {major}"
    return None


def _gpus(key: "Key", present: "Present") -> "Optional[str]":
    planned = {
        bus: expected
        for bus, expected in key["gpus"].items()
        if present is None or present("/dev/nvidia" + expected[0])
    }
    current = read_gpus(key["proc"], {bus_id(bus) for bus in planned}) if planned else {}
    for bus, expected in planned.items():
        found = current.get(bus_id(bus))
        if found is None:
            return f"the GPU at {bus} is gone"
        for name, here, there in zip(("device minor", "UUID"), found, expected):
            if here != there and _UNKNOWN not in here + there:
                return f"the {name} of the GPU at {bus} is {here or 'gone'}, the plan has {there}"
    return None


def _mig(key: "Key", present: "Present") -> "Optional[str]":
    proc = key["proc"]
    listed = exists(f"{proc}/driver/nvidia/capabilities")
    table: "Optional[dict[str, int]]" = None
    for name, minor in key["mig_minors"].items():
        if present is not None and not present(f"/dev/nvidia-caps/nvidia-cap{minor}"):
            continue
        gpu, _, rest = name.partition("/")
        there = not (listed and rest) or exists(f"{proc}/driver/nvidia/capabilities/{gpu}/mig/{rest}")
        current = read_mig_minor(proc, name) if rest else None
        if current is None and there:
            table = read_mig_minors(proc) if table is None else table
            current = table.get(name)
        if not there or current != minor:
            return f"the MIG instance of {name} is gone or another one"
    return None


def _files(planned: "list[FileIdentity]") -> "Optional[str]":
    for expected in planned:
        path = expected["host"]
        try:
            found = os.stat(path)
        except OSError:
            return f"{path} is gone"
        if found.st_size != expected["size"] or found.st_mtime_ns != expected["mtime_ns"]:
            return f"{path} has changed"
    return None


def _names(folder: str) -> "list[str]":
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _read(path: str) -> str:
    """A small file of the kernel's; what cannot be read is as good as empty, and differs from every plan."""
    try:
        return reading.file(path, _READ_LIMIT).decode(errors="replace")
    except OSError:
        return ""
