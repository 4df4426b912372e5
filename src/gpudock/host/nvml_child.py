"""The program that asks NVML: LIBRARY [LOCK_FD] are its arguments, one JSON document is its output.

It is a program of its own because a driver call can hang or crash for good. It imports nothing of gpudock, and neither
json nor a ready-made binding: each would cost more than all the driver calls together.

    {"driver": "580.159.04", "cuda": "13.0", "gpus": [...], "problems": [...]}   or   {"error": "nvmlInit_v2: ..."}

The GPUs have the fields of gpudock.facts.gpu.Gpu; what one call could not tell is {"is": "missing", "reason": ...}.
"""

import ctypes
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

NOT_SUPPORTED, NOT_FOUND, TOO_SMALL, NO_FUNCTION = 3, 6, 7, 13  # nvmlReturn_t
NOT_AVAILABLE = (1 << 64) - 1
NO_INSTANCE = (1 << 32) - 1
LIFETIME = 30  # seconds: the parent gives up much earlier, but may have been killed
PROCESSES = 4096  # per GPU and kind
ENTRY = 24  # bytes of nvmlProcessInfo_v2_t
ROOM = 64  # of these that there is room for before the driver is asked how many there are

BRANDS = (
    "unknown",
    "quadro",
    "tesla",
    "nvs",
    "grid",
    "geforce",
    "titan",
    "vapps",
    "vpc",
    "vcs",
    "vws",
    "cloudgaming",
    "quadrortx",
    "nvidiartx",
    "nvidia",
    "geforcertx",
    "titanrtx",
)  # in the order of nvmlBrandType_t, as NVIDIA_REQUIRE_* spells them


Handle = ctypes.c_void_p


class CallError(Exception):
    """A call that did not succeed: its name and NVML's words."""

    def __init__(self, name: str, code: int, words: str) -> None:
        super().__init__(f"{name}: {words}")
        self.code = code


class Library:
    """NVML. Results are raw bytes of a given size, because each structure is read exactly once."""

    def __init__(self, path: str) -> None:
        self._library = ctypes.CDLL(path)
        self._functions: dict[str, Callable[..., int]] = {}

    def call(self, names: str, *arguments: object) -> None:
        """Call the first of `names` that this driver has."""
        function = self._functions.get(names) or self._function(names)
        code = function(*arguments)
        if code:
            raise CallError(function.__name__, code, self.words(code))

    def _function(self, names: str) -> "Callable[..., int]":
        for name in names.split():
            try:
                found = self._functions[names] = self._library[name]
            except AttributeError:
                continue
            return found
        raise CallError(names.split(maxsplit=1)[0], NO_FUNCTION, "this driver has no such function")

    def ask(self, names: str, device: Handle | None, size: int) -> bytes:
        """The `size` bytes that a call writes behind its last argument."""
        out = ctypes.create_string_buffer(size)
        self.call(names, *([] if device is None else [device]), out)
        return out.raw

    def text(self, names: str, device: Handle | None, size: int = 96) -> str:
        """A string result; such calls take the buffer's length last."""
        out = ctypes.create_string_buffer(size)
        self.call(names, *([] if device is None else [device]), out, size)
        return out.value.decode(errors="replace")

    def handle(self, names: str, *arguments: object) -> Handle:
        out = Handle()
        self.call(names, *arguments, ctypes.byref(out))
        return out

    def words(self, code: int) -> str:
        try:
            explain = self._library.nvmlErrorString
        except AttributeError:
            return f"error {code}"
        explain.restype = ctypes.c_char_p
        return (explain(code) or b"").decode(errors="replace") or f"error {code}"


def number(raw: bytes, at: int = 0, size: int = 4) -> int:
    return int.from_bytes(raw[at : at + size], sys.byteorder)


def known(read: "Callable[..., object]", *arguments: object) -> object:
    """What `read` returns, or why it could not be read."""
    try:
        return read(*arguments)
    except CallError as error:
        return {"is": "missing", "reason": str(error)}


def bus_id(nvml: Library, device: Handle) -> str:
    """As /sys spells it: NVML says 00000000:00:06.0, /sys 0000:00:06.0 unless the domain needs more digits."""
    raw = nvml.ask("nvmlDeviceGetPciInfo_v3 nvmlDeviceGetPciInfo_v2 nvmlDeviceGetPciInfo", device, 256)
    long, short = raw[36:68].partition(b"\0")[0], raw[:16].partition(b"\0")[0]
    domain, _, rest = (long or short).decode(errors="replace").lower().partition(":")
    try:
        return f"{int(domain, 16):04x}:{rest}"
    except ValueError:
        raise CallError("nvmlDeviceGetPciInfo", 0, f"an unreadable bus id, {domain}:{rest}") from None


def minor(nvml: Library, device: Handle) -> int:
    try:
        return number(nvml.ask("nvmlDeviceGetMinorNumber", device, 4))
    except CallError as error:
        if error.code == NOT_SUPPORTED:  # WSL: there are no nodes
            return -1
        raise


def brand(nvml: Library, device: Handle) -> str:
    value = number(nvml.ask("nvmlDeviceGetBrand", device, 4))
    return BRANDS[value] if value < len(BRANDS) else "unknown"


def compute_capability(nvml: Library, device: Handle) -> str:
    minor_part = ctypes.c_int()
    major = ctypes.c_int()
    nvml.call("nvmlDeviceGetCudaComputeCapability", device, ctypes.byref(major), ctypes.byref(minor_part))
    return f"{major.value}.{minor_part.value}"


def memory(nvml: Library, device: Handle) -> int:
    return number(nvml.ask("nvmlDeviceGetMemoryInfo", device, 24), 0, 8)


def mig_mode(nvml: Library, device: Handle) -> bool:
    pending = ctypes.create_string_buffer(4)
    current = ctypes.create_string_buffer(4)
    try:
        nvml.call("nvmlDeviceGetMigMode", device, current, pending)
    except CallError as error:
        if error.code in {NOT_SUPPORTED, NO_FUNCTION}:  # this GPU, or this driver, has no MIG
            return False
        raise
    return number(current.raw) == 1


def persistence(nvml: Library, device: Handle) -> bool:
    return number(nvml.ask("nvmlDeviceGetPersistenceMode", device, 4)) == 1


def processes(nvml: Library, device: Handle) -> list[dict[str, object]]:
    """Those of compute, graphics and MPS clients, each once, sorted."""
    found: dict[tuple[object, ...], dict[str, object]] = {}
    for kind in ("Compute", "Graphics", "MPSCompute"):
        try:
            for entry in running(nvml, device, kind):
                found[entry["pid"], entry["gi"], entry["ci"]] = entry
        except CallError as error:
            if kind == "Compute" or error.code not in {NOT_SUPPORTED, NO_FUNCTION}:
                raise
    return [found[key] for key in sorted(found, key=str)]


def running(nvml: Library, device: Handle, kind: str) -> list[dict[str, object]]:
    raw = entries_of(nvml, device, kind)
    return [process(raw, at) for at in range(0, len(raw), ENTRY)]


def entries_of(nvml: Library, device: Handle, kind: str) -> bytes:
    """The nvmlProcessInfo_v2_t of the processes of one kind, one behind the other."""
    stem = f"nvmlDeviceGet{kind}RunningProcesses"
    count = ctypes.c_uint(ROOM)
    for _ in range(4):  # processes come and go between the call that counts and the call that lists
        entries = ctypes.create_string_buffer(32 * count.value)
        try:
            # not _v3 first: some 535 drivers write 32 bytes per entry there
            nvml.call(f"{stem}_v2 {stem}_v3", device, ctypes.byref(count), entries)
        except CallError as error:
            if error.code != TOO_SMALL:
                raise
            count.value = min(count.value + 8, PROCESSES)
            continue
        return entries.raw[: min(count.value, len(entries) // ENTRY) * ENTRY]
    raise CallError(stem, TOO_SMALL, "the list kept growing")


def process(raw: bytes, at: int) -> dict[str, object]:
    """nvmlProcessInfo_t: pid, used memory, GPU instance, compute instance."""
    used, gi, ci = number(raw, at + 8, 8), number(raw, at + 16), number(raw, at + 20)
    return {
        "pid": number(raw, at),
        "used_memory": {"is": "missing", "reason": "NVML does not tell"} if used == NOT_AVAILABLE else used,
        "gi": None if gi == NO_INSTANCE else gi,
        "ci": None if ci == NO_INSTANCE else ci,
    }


def instances(nvml: Library, device: Handle, problems: list[str]) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    try:
        count = number(nvml.ask("nvmlDeviceGetMaxMigDeviceCount", device, 4))
    except CallError as error:
        problems.append(str(error))
        return found
    for index in range(count):
        try:
            handle = nvml.handle("nvmlDeviceGetMigDeviceHandleByIndex", device, index)
            found.append(instance(nvml, handle, index))
        except CallError as error:
            if error.code != NOT_FOUND:
                problems.append(f"MIG device {index}: {error}")
    return found


def instance(nvml: Library, handle: Handle, index: int) -> dict[str, object]:
    attributes = known(nvml.ask, "nvmlDeviceGetAttributes_v2 nvmlDeviceGetAttributes", handle, 64)
    return {
        "index": index,
        "gi": number(nvml.ask("nvmlDeviceGetGpuInstanceId", handle, 4)),
        "ci": number(nvml.ask("nvmlDeviceGetComputeInstanceId", handle, 4)),
        "uuid": nvml.text("nvmlDeviceGetUUID", handle),
        "profile": known(profile, nvml, handle, attributes),
        "memory": number(attributes, 32, 8) << 20 if isinstance(attributes, bytes) else attributes,
    }


def profile(nvml: Library, handle: Handle, attributes: object) -> object:
    """From the name ("NVIDIA H200 MIG 1g.18gb"), else composed of the slices as NVIDIA's tools do."""
    name = known(nvml.text, "nvmlDeviceGetName", handle)
    if isinstance(name, str) and " MIG " in name:
        return name.rpartition(" MIG ")[2]
    if not isinstance(attributes, bytes):
        return attributes
    gpu_slices, compute_slices = number(attributes, 24), number(attributes, 28)
    shared = "" if gpu_slices == compute_slices else f"{compute_slices}c."
    return f"{shared}{gpu_slices}g.{(number(attributes, 32, 8) + 1023) // 1024}gb"


def gpu(nvml: Library, index: int, problems: list[str]) -> dict[str, object]:
    device = nvml.handle("nvmlDeviceGetHandleByIndex_v2 nvmlDeviceGetHandleByIndex", index)
    mig = known(mig_mode, nvml, device)
    own: list[str] = []
    facts = {
        "index": index,
        "uuid": nvml.text("nvmlDeviceGetUUID", device),
        "bus_id": bus_id(nvml, device),
        "minor": minor(nvml, device),
        "name": known(nvml.text, "nvmlDeviceGetName", device),
        "brand": known(brand, nvml, device),
        "compute_capability": known(compute_capability, nvml, device),
        "memory": known(memory, nvml, device),
        "mig": mig,
        "instances": instances(nvml, device, own) if mig is True else [],
        "persistence": known(persistence, nvml, device),
        "processes": known(processes, nvml, device),
    }
    problems.extend(f"GPU {index}: {problem}" for problem in own)
    return facts


def cuda_version(nvml: Library) -> str:
    value = number(nvml.ask("nvmlSystemGetCudaDriverVersion_v2 nvmlSystemGetCudaDriverVersion", None, 4))
    return f"{value // 1000}.{value % 1000 // 10}"


def survey(path: str) -> dict[str, object]:
    """Everything, as one dictionary."""
    try:
        nvml = Library(path)
        nvml.call("nvmlInit_v2 nvmlInit")
        driver = nvml.text("nvmlSystemGetDriverVersion", None)
        count = number(nvml.ask("nvmlDeviceGetCount_v2 nvmlDeviceGetCount", None, 4))
    except (OSError, CallError) as error:
        return {"error": str(error)}
    gpus: list[object] = []
    problems: list[str] = []
    for index in range(count):
        try:
            gpus.append(gpu(nvml, index, problems))
        except CallError as error:  # a GPU that fell off the bus must not hide the others
            problems.append(f"GPU {index}: {error}")
    return {"driver": driver, "cuda": known(cuda_version, nvml), "gpus": gpus, "problems": problems}


def encode(value: object) -> str:
    """JSON of dictionaries, lists, strings, integers, booleans and None."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{encode(key)}:{encode(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(encode, value)) + "]"
    if isinstance(value, str):
        return '"' + "".join(map(escape, value)) + '"'
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)  # only integers are left


def escape(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    return character if character.isprintable() else "\ufffd"


def main() -> None:
    ctypes.CDLL(None).alarm(LIFETIME)
    if len(sys.argv) > 2:  # the lock is ours until we end; whatever NVML starts must not inherit it
        lock = int(sys.argv[2])
        os.set_inheritable(lock, False)
        os.write(lock, b"%d\n" % os.getpid())
    document = encode(survey(sys.argv[1])).encode()
    while document:
        document = document[os.write(1, document) :]
    os._exit(0)  # the driver cleans up behind a process anyway; unwinding Python and NVML costs milliseconds


if __name__ == "__main__":
    main()
