"""Writes down what samples say. It adds up ten seconds in memory; a thread of its own writes, because disks stall."""

import sqlite3
import threading
from collections import deque
from typing import NamedTuple

from gpudock.facts.base import Missing
from gpudock.monitor.sample import Gpu, Sample
from gpudock.monitor.shares import Share, elapsed, shares
from gpudock.monitor.store import FINE, GpuRow, ShareRow, Store

MOST_WAITING = 360  # periods, an hour, while the disk is full or somebody has the file locked
AGAIN = 10.0  # seconds until it is tried again
SAID_AFTER = 6  # periods that wait; others may well read for a while
NAMES_EVERY = 8640  # periods, a day


class _Mean:
    def __init__(self) -> None:
        self.total, self.count = 0.0, 0

    def add(self, value: float | Missing | None) -> None:
        if value is not None and not isinstance(value, Missing):
            self.total += value
            self.count += 1

    @property
    def value(self) -> float | None:
        return round(self.total / self.count, 3) if self.count else None


class _OfGpu:
    def __init__(self) -> None:
        self.utilization, self.memory, self.power, self.temperature = _Mean(), _Mean(), _Mean(), _Mean()
        self.held = 0.0
        self.label = ""

    def add(self, gpu: Gpu, held: float) -> None:
        self.label = f"GPU {gpu.index}"
        self.utilization.add(gpu.load)
        self.memory.add(gpu.memory.used)
        self.power.add(gpu.power.draw)
        self.temperature.add(gpu.temperature.gpu)
        self.held += held


class _OfShare:
    def __init__(self) -> None:
        self.held = self.used = self.unknown = self.joules = 0.0
        self.memory = _Mean()
        self.label = self.env = ""


class _Period:
    def __init__(self, time: int) -> None:
        self.time = time
        self.gpus: dict[str, _OfGpu] = {}
        self.shares: dict[tuple[str, str, str], _OfShare] = {}

    def add(self, sample: Sample, passed: float, found: list[Share]) -> None:
        occupied = {each.gpu for each in sample.processes}
        for gpu in () if isinstance(sample.gpus, Missing) else sample.gpus:
            self.gpus.setdefault(gpu.uuid, _OfGpu()).add(gpu, passed if gpu.uuid in occupied else 0.0)
        for share in found:
            mine = self.shares.setdefault((share.gpu, share.user, share.container), _OfShare())
            container = sample.container(share.container)
            mine.label = container.label if container else ""
            mine.env = container.environment if container else ""
            mine.held += passed
            mine.used += passed * (share.used or 0.0)
            mine.unknown += 0.0 if share.used is not None else passed
            mine.joules += passed * (share.watts or 0.0)
            mine.memory.add(share.memory)

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
                round(each.held, 3),
            )
            for uuid, each in self.gpus.items()
        )
        found = tuple(
            ShareRow(
                self.time,
                key[0],
                self.gpus[key[0]].label,
                *key[1:],
                each.label,
                each.env,
                round(each.held, 3),
                round(each.used, 3),
                round(each.unknown, 3),
                round(each.joules, 2),
                each.memory.value,
            )
            for key, each in self.shares.items()
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
        passed = elapsed(self._time, sample)
        self._time = sample.time
        if not passed or isinstance(sample.gpus, Missing):
            return
        begin = int(sample.time) // FINE * FINE
        if self._period is not None and self._period.time != begin:
            self._hand_over(self._period)
            self._period = None
        if self._period is None:
            self._period = _Period(begin)
        self._period.add(sample, passed, shares(sample) if found is None else found)

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
