"""What a start plan does not hold of a GPU: its limits, what CUDA says of it, and what it does at this moment.

Numbers are in the driver's own units: milliwatts, degrees Celsius, bytes, MHz, per cent, KB/s; None is "not told".
"""

import os
import sys
from typing import TypeVar

import msgspec

import gpudock
from gpudock.facts.base import Fact, Missing
from gpudock.host import nvml_turn
from gpudock.host.plain import one_line
from gpudock.proc import TIMED_OUT, Command, Runner

DEADLINE = 5.0  # seconds
# As nvml starts its child. CUDA must see every GPU, in the order of the bus, and leave no cache behind.
_START = "import sys; sys.path.append(sys.argv.pop(1)); from gpudock.host import nvml_sample_child as c; c.main()"
_PACKAGES = os.path.dirname(os.path.dirname(gpudock.__file__))
_ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C",
    "CUDA_CACHE_DISABLE": "1",
    "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
}


class Limits(Fact, frozen=True):
    uuid: str
    power: int | None = None
    bar1: int | None = None
    pcie_generation: int | None = None
    pcie_width: int | None = None
    clock: int | None = None
    memory_clock: int | None = None
    ancestors: dict[str, int | None] = {}  # noqa: RUF012  msgspec copies it. Other GPU's bus id -> nvmlGpuTopologyLevel_t


class Cuda(Fact, frozen=True):
    bus_id: str
    constant: int | None = None
    multiprocessors: int | None = None
    ecc: int | None = None
    memory_clock: int | None = None  # kHz
    bus_width: int | None = None  # bits
    l2_cache: int | None = None
    shared: int | None = None  # bytes of a multiprocessor
    memory: int | None = None
    peers: tuple[str, ...] = ()  # bus ids of the GPUs whose memory it can reach


class Process(Fact, frozen=True):
    pid: int
    name: str | None = None
    memory: int | None = None


class Status(Fact, frozen=True):
    uuid: str
    power: int | None = None
    temperature: int | None = None
    gpu: int | None = None
    memory: int | None = None
    encoder: int | None = None
    decoder: int | None = None
    memory_used: int | None = None
    bar1_used: int | None = None
    l1_errors: int | None = None
    l2_errors: int | None = None
    memory_errors: int | None = None
    clock: int | None = None
    memory_clock: int | None = None
    received: int | None = None
    sent: int | None = None
    processes: tuple[Process, ...] | None = None  # of compute, at most 32


class _LimitsAnswer(Fact, frozen=True):
    gpus: tuple[Limits, ...] = ()
    error: str | None = None


class _CudaAnswer(Fact, frozen=True):
    gpus: tuple[Cuda, ...] = ()
    error: str | None = None


class _StatusAnswer(Fact, frozen=True):
    gpus: tuple[Status, ...] = ()
    error: str | None = None


_Answer = TypeVar("_Answer", _LimitsAnswer, _CudaAnswer, _StatusAnswer)


def limits(run: Runner, library: str) -> tuple[Limits, ...] | Missing:
    """Of all GPUs, by the NVML at the host path `library`; Missing says what went wrong."""
    answer = _asked(run, "limits", library, _LimitsAnswer)
    return answer if isinstance(answer, Missing) else answer.gpus


def cuda(run: Runner, library: str) -> tuple[Cuda, ...] | Missing:
    """Of the GPUs that CUDA knows, by the libcuda at the host path `library`."""
    answer = _asked(run, "cuda", library, _CudaAnswer)
    return answer if isinstance(answer, Missing) else answer.gpus


def status(run: Runner, library: str) -> tuple[Status, ...] | Missing:
    """Of all GPUs at this moment."""
    answer = _asked(run, "status", library, _StatusAnswer)
    return answer if isinstance(answer, Missing) else answer.gpus


def _asked(run: Runner, what: str, library: str, kind: type[_Answer]) -> _Answer | Missing:
    with nvml_turn.taken(nvml_turn.folder(), DEADLINE) as turn:
        if isinstance(turn, str):
            return Missing(turn)
        argv = [sys.executable, "-I", "-S", "-c", _START, _PACKAGES, what, library]
        fds = () if turn is None else (turn,)
        argv += map(str, fds)
        result = run(Command(tuple(argv), timeout=DEADLINE, env=_ENVIRONMENT, pass_fds=fds, kill=False))
    if result.code == TIMED_OUT:
        return Missing(f"the driver gave no answer within {DEADLINE:g} s")
    if not result.ok:
        return Missing(f"the driver could not be asked (exit code {result.code}): {one_line(result.err[-200:])}")
    try:
        answer = msgspec.json.decode(result.out, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        return Missing(f"the driver's answer cannot be understood: {one_line(str(error))}")
    return answer if answer.error is None else Missing(one_line(answer.error))
