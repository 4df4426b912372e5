"""Writes down what samples say. It adds up ten seconds in memory; a thread of its own writes, because disks stall."""

import math
import sqlite3
import threading
from collections import Counter, deque
from typing import NamedTuple

from gpudock.facts.base import Missing
from gpudock.monitor.sample import Gpu, Sample
from gpudock.monitor.shares import Held, Share, elapsed, shares
from gpudock.monitor.store import FINE, GpuRow, ShareRow, Store

MOST_WAITING = 360  # periods, an hour, while the disk is full or somebody has the file locked
AGAIN = 10.0  # seconds until it is tried again
SAID_AFTER = 6  # periods that wait; others may well read for a while
NAMES_EVERY = 8640  # periods, a day


class _Mean:
    def __init__(self) -> None:
        self.total = self.seconds = 0.0

    def add(self, value: float | Missing | None, seconds: float) -> None:
        if value is not None and not isinstance(value, Missing):
            self.total += value * seconds
            self.seconds += seconds

    @property
    def value(self) -> float | None:
        return round(self.total / self.seconds, 3) if self.seconds else None


class _OfGpu:
    def __init__(self) -> None:
        self.utilization, self.memory, self.power, self.temperature = _Mean(), _Mean(), _Mean(), _Mean()
        self.held: float | None = None  # not told
        self.label = ""

    def add(self, gpu: Gpu, seconds: float, held: float) -> None:
        self.label = f"GPU {gpu.index}"
        self.utilization.add(gpu.load, seconds)
        self.memory.add(gpu.memory.used, seconds)
        self.power.add(gpu.power.draw, seconds)
        self.temperature.add(gpu.temperature.gpu, seconds)
        if held or not gpu.untold:
            self.held = (self.held or 0.0) + seconds * held


class _OfShare:
    def __init__(self) -> None:
        self.held = [0.0] * len(Held._fields)
        self.used = self.unknown = self.joules = self.unmetered = 0.0
        self.memory = _Mean()
        self.label = self.env = ""

    def add(self, share: Share, seconds: float) -> None:
        self.label, self.env = share.label, share.env
        self.held = [before + seconds * part for before, part in zip(self.held, share.held, strict=True)]
        if share.used is None:
            self.unknown += seconds * share.held.container
        else:
            self.used += seconds * share.used
        if share.watts is None:
            self.unmetered += seconds * share.held.container
        else:
            self.joules += seconds * share.watts
        self.memory.add(share.memory, seconds)


class _Period:
    def __init__(self, time: int) -> None:
        self.time = time
        self.gpus: dict[str, _OfGpu] = {}
        self.shares: dict[tuple[str, str, str], _OfShare] = {}

    def add(self, sample: Sample, seconds: float, found: list[Share]) -> None:
        held = Counter[str]()
        for share in found:
            held[share.gpu] += share.held.gpu  # type: ignore[assignment]
            self.shares.setdefault((share.gpu, share.user, share.container), _OfShare()).add(share, seconds)
        for gpu in () if isinstance(sample.gpus, Missing) else sample.gpus:
            self.gpus.setdefault(gpu.uuid, _OfGpu()).add(gpu, seconds, held[gpu.uuid])

    def rows(self) -> "_Rows":
        gpus = tuple(
            GpuRow(
                self.time,
                uuid,
                each.label,
                each.utilization.value,
                each.memory.value,
                each.power.value,
                each.temperature.value,
                None if each.held is None else round(each.held, 3),
            )
            for uuid, each in self.gpus.items()
        )
        found = tuple(
            ShareRow(
                time=self.time,
                gpu=gpu,
                place=self.gpus[gpu].label,
                user=user,
                container=container,
                label=each.label,
                env=each.env,
                held=Held(*(round(seconds, 3) for seconds in each.held)),
                used=round(each.used, 3),
                unknown=round(each.unknown, 3),
                joules=round(each.joules, 2),
                unmetered=round(each.unmetered, 3),
                memory=each.memory.value,
            )
            for (gpu, user, container), each in self.shares.items()
        )
        return _Rows(gpus, found)


class _Rows(NamedTuple):
    gpus: tuple[GpuRow, ...]
    shares: tuple[ShareRow, ...]


class Recorder:
    """Give its `listen` to the collector. `problem` says why nothing is written, while that is so."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._period: _Period | None = None
        self._time = 0.0
        self._waiting: deque[_Rows] = deque(maxlen=MOST_WAITING)
        self._changed = threading.Condition()
        self._ended = False
        self._written = 0
        self.problem = ""
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)
        self._thread.start()

    def listen(self, sample: Sample, found: list[Share] | None = None) -> None:
        """Never waits for the disk. `found`: the sample's shares, if they were made already."""
        before, self._time = self._time, sample.time
        passed = elapsed(before, sample)
        if not passed or isinstance(sample.gpus, Missing):
            return
        if found is None:
            found = shares(sample)
        since = max(sample.time - passed, before)
        for begin in range(int(since) // FINE * FINE, math.ceil(sample.time), FINE):
            if self._period is not None and self._period.time != begin:
                self._hand_over(self._period)
                self._period = None
            if self._period is None:
                self._period = _Period(begin)
            self._period.add(sample, min(begin + FINE, sample.time) - max(begin, since), found)

    def _hand_over(self, period: _Period) -> None:
        with self._changed:
            self._waiting.append(period.rows())
            self._changed.notify()

    def close(self) -> None:
        """Write what is left, if the disk lets us within two seconds."""
        if self._period is not None:
            self._hand_over(self._period)
            self._period = None
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._thread.join(2.0)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._ended)
                if not self._waiting:
                    self._store.close()
                    return
                rows = self._waiting[0]
            if self._wrote(rows):
                with self._changed:
                    if self._waiting and self._waiting[0] is rows:  # else it was pushed out by newer ones
                        self._waiting.popleft()
                continue
            with self._changed:
                if self._ended:
                    return
                self._changed.wait_for(lambda: self._ended, AGAIN)

    def _wrote(self, rows: _Rows) -> bool:
        try:
            self._store.write(rows.gpus, rows.shares)
            self._written += 1
            if self._written % NAMES_EVERY == 0:
                self._store.forget_names()
        except sqlite3.Error as error:
            locked = getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
            if not locked or len(self._waiting) > SAID_AFTER:
                self.problem = f"the history cannot be written: {error} ({self._store.path})"
            return False
        self.problem = ""
        return True
