"""What the watching child tells of the processes on a GPU: each as a piece of JSON, made for hundreds every second."""

import ctypes
import json
import struct
import time

from gpudock.host import nvml_child
from gpudock.host.nvml_child import NO_FUNCTION, NO_INSTANCE, NOT_AVAILABLE, NOT_FOUND, NOT_SUPPORTED, CallError
from gpudock.monitor.watch_calls import missing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from gpudock.host.nvml_child import Handle, Library

PROCESS = "=IxxxxQII"  # nvmlProcessInfo_v2_t
SAMPLE, USE = 32, "=IxxxxQIIII"  # bytes of nvmlProcessUtilizationSample_t, and what is in them
KINDS = {"Compute": "C", "Graphics": "G", "MPSCompute": "M"}
UNTOLD = '{"is":"missing","reason":"NVML does not tell"}'

Found = dict[tuple[int, int, int], tuple[str, "int | str"]]  # pid and MIG's ids -> kinds and memory


class Running:
    """The processes of one GPU. `since`: microseconds of Unix time; samples of use that are older are not asked for."""

    def __init__(self, uuid: str, since: int) -> None:
        self._uuid, self._seen = json.dumps(uuid), since
        self.untold: CallError | None = None  # why the driver did not list the computing processes at the last look

    def look(self, nvml: "Library", device: "Handle", migs: "Iterable[Handle]") -> list[str]:
        """Those on the GPU and its instances, each once, with what they use of it: JSON of sample.Process."""
        found: Found = {}
        refused = [_lists(nvml, handle, found) for handle in (device, *migs)]
        # A GPU that is divided tells them itself, or by each of its instances.
        self.untold = refused[0] if len(refused) == 1 or any(refused[1:]) else None
        if not found:
            return []
        use = self._use(nvml, device)
        others = use[None]
        return [
            f'{{"pid":{pid},"gi":{_instance(gi)},"ci":{_instance(ci)},"kind":"{kinds}","memory":{memory},'
            f'"gpu":{self._uuid},"utilization":{use.get(pid, others)}}}'
            for (pid, gi, ci), (kinds, memory) in found.items()
        ]

    def _use(self, nvml: "Library", device: "Handle") -> dict[int | None, str]:
        """By pid, the mean of the driver's samples since the last look; None: what holds for those without a sample."""
        try:
            raw = self._samples(nvml, device)
        except CallError as error:
            if error.code != NOT_FOUND:  # there was no sample: nobody did anything
                return {None: json.dumps(missing(error, "gpu", "memory", "encoder", "decoder"))}
            raw = b""
        collected: dict[int, list[list[int]]] = {}
        for pid, when, *values in struct.iter_unpack(USE, raw):
            self._seen = max(self._seen, when)
            if max(values) <= 100:  # some drivers give samples that were never written
                collected.setdefault(pid, []).append(values)
        found: dict[int | None, str] = {None: _utilization(0, 0, 0, 0)}
        for pid, rows in collected.items():
            means = rows[0]
            if len(rows) > 1:
                means = [round(sum(column) / len(rows)) for column in zip(*rows, strict=True)]
            found[pid] = _utilization(*means)
        return found

    def _samples(self, nvml: "Library", device: "Handle") -> bytes:
        count = ctypes.c_uint(0)
        self._seen = min(self._seen, int(time.time() * 1e6))  # a clock that was set back must not hide what comes now
        since = ctypes.c_ulonglong(self._seen)
        call = "nvmlDeviceGetProcessUtilization"
        try:
            nvml.call(call, device, None, ctypes.byref(count), since)
        except CallError as error:
            if error.code != nvml_child.TOO_SMALL:
                raise
        if not count.value:
            return b""
        out = ctypes.create_string_buffer(SAMPLE * count.value)
        nvml.call(call, device, out, ctypes.byref(count), since)
        return out.raw[: SAMPLE * count.value]


def _utilization(gpu: int, memory: int, encoder: int, decoder: int) -> str:
    return f'{{"gpu":{gpu},"memory":{memory},"encoder":{encoder},"decoder":{decoder}}}'


def _instance(number: int) -> "int | str":
    return "null" if number == NO_INSTANCE else number


def _lists(nvml: "Library", handle: "Handle", found: Found) -> "CallError | None":
    """Why those that compute are not told, if so."""
    untold = None
    for call, kind in KINDS.items():
        try:
            entries = nvml_child.entries_of(nvml, handle, call)
        except CallError as error:
            untold = untold or (error if kind == "C" else None)
            if error.code in {NOT_SUPPORTED, NO_FUNCTION} or found:
                continue
            raise
        for pid, used, gi, ci in struct.iter_unpack(PROCESS, entries):
            kinds, _ = found.get((pid, gi, ci), ("", 0))
            memory = UNTOLD if used == NOT_AVAILABLE else used  # the same in each list
            found[pid, gi, ci] = (kinds if kind in kinds else kinds + kind, memory)
    return untold
