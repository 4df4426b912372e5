"""What /metrics answers: chosen families of the newest sample, written once for all who ask."""

import threading
from collections.abc import Collection, Iterator
from typing import NamedTuple

from msgspec.structs import replace

from gpudock.monitor import metrics_dcgm, metrics_own, metrics_people, metrics_smi
from gpudock.monitor.metric import Metric, text
from gpudock.monitor.metrics_small import Small
from gpudock.monitor.sample import Sample
from gpudock.monitor.shares import Tally
from gpudock.monitor.source import Source

GROUPS = ("gpudock", "dcgm", "nvidia_smi")
USUAL = ("gpudock", "dcgm")


class Choice(NamedTuple):
    groups: tuple[str, ...] = USUAL
    processes: bool = False  # series with a process id
    small: Small | None = None  # an old exporter's metrics and nothing else


class Exposition:
    """One text for each sample, however many ask for it. Old samples give no GPU series: only that they are old."""

    def __init__(self, source: Source, tally: Tally, choice: Choice = Choice()) -> None:  # noqa: B008  immutable
        self._source, self._tally, self._choice = source, tally, choice
        self._lock = threading.Lock()
        self._texts: dict[tuple[str, ...], tuple[tuple[int, bool], bytes]] = {}

    def text(self, groups: Collection[str] = ()) -> bytes:
        """Of these groups, by default of those that were chosen. Unknown ones are left out."""
        wanted = tuple(each for each in GROUPS if each in (groups or self._choice.groups))
        sample = self._source.latest()
        if sample.stale:
            return text(self._metrics(_without_gpus(sample), wanted))
        key = (sample.number, sample.stale)
        with self._lock:
            there = self._texts.get(wanted)
            if there is None or there[0] != key:
                there = (key, text(self._metrics(sample, wanted)))
                self._texts[wanted] = there
        return there[1]

    def _metrics(self, sample: Sample, wanted: tuple[str, ...]) -> Iterator[Metric]:
        if self._choice.small is not None:
            yield from self._choice.small.metrics(sample)
            return
        if "gpudock" in wanted:
            yield from metrics_own.metrics(sample)
            yield from metrics_people.metrics(sample, self._tally, processes=self._choice.processes)
        if "dcgm" in wanted:
            yield from metrics_dcgm.metrics(sample)
        if "nvidia_smi" in wanted:
            yield from metrics_smi.metrics(sample, processes=self._choice.processes)


def _without_gpus(sample: Sample) -> Sample:
    """What was true a while ago must not be stored as true now."""
    return replace(sample, gpus=(), processes=(), containers=(), people=())
