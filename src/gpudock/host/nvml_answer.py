"""Reads what NVML answered, or why it did not."""

import signal

import msgspec

from gpudock.facts.base import Fact, Missing
from gpudock.facts.gpu import Gpu, Nvml
from gpudock.host import nvml
from gpudock.host.plain import one_line
from gpudock.proc import NOT_FOUND, TIMED_OUT, Result


class _Answer(Fact, frozen=True):
    """What the child prints."""

    error: str | None = None
    driver: str = ""
    cuda: str | Missing = Missing("not told")
    gpus: tuple[Gpu, ...] = ()
    problems: tuple[str, ...] = ()


def of_result(result: Result, path: str) -> tuple[Nvml | Missing, tuple[Gpu, ...]]:
    """What the child of nvml.ask, given the library at `path`, has printed."""
    if result.code == TIMED_OUT:
        stuck = "cannot be stopped" in result.err
        return Missing(f"NVML gave no answer within {nvml.DEADLINE:g} s" + (" and is stuck" if stuck else "")), ()
    if result.code < 0:
        return Missing(f"NVML crashed: {_signal(-result.code)} in {path}"), ()
    if result.code == NOT_FOUND or not result.ok:
        return Missing(f"NVML could not be asked: {one_line(result.err[-200:])}"), ()
    try:
        answer = msgspec.json.decode(result.out, type=_Answer)
    except (msgspec.DecodeError, RecursionError) as error:
        return Missing(f"NVML's answer cannot be understood: {one_line(str(error))}"), ()
    if answer.error is not None:
        return Missing(one_line(answer.error)), ()
    return Nvml(driver=answer.driver, cuda=answer.cuda, library=path, problems=answer.problems), answer.gpus


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
