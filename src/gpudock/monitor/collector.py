"""The one collector: a thread that looks at the GPUs at each beat, and makes the Sample that every surface shows."""

import os
import threading
import time
from collections.abc import Callable

from msgspec.structs import replace

from gpudock.facts.base import Missing
from gpudock.monitor import gather
from gpudock.monitor.attribute import Machine
from gpudock.monitor.sample import Gpu, Sample, Xid
from gpudock.monitor.watch import Answer, Watcher

GIVEN_UP = 60.0  # seconds after which GPUs that cannot be read any more are not shown as they were
SLOW_EVERY = 10.0  # seconds; the child measures traffic between two such looks
MOST_XIDS = 32  # kinds of errors that are remembered of a GPU

Listener = Callable[[Sample], None]


class Collector:
    """A Source. `listeners` are given each new sample, in the collector's thread. `notes` says what else goes wrong."""

    def __init__(
        self,
        watcher: Watcher,
        machine: Machine,
        *,
        interval: float = 1.0,
        simulated: bool = False,
        listeners: tuple[Listener, ...] = (),
        notes: Callable[[], str] = str,
    ) -> None:
        self._watcher, self._machine, self._listeners = watcher, machine, listeners
        self._notes = notes
        self._interval = interval
        self._changed = threading.Condition()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._next_slow = 0.0
        self._idle: dict[str, float] = {}
        self._xids: dict[str, dict[int, Xid]] = {}
        self._sample = Sample(
            time=time.time(),
            interval=interval,
            host=os.uname().nodename,
            simulated=simulated,
            gpus=Missing("the first look is not finished"),
        )

    def latest(self) -> Sample:
        with self._changed:
            return self._aged()

    def wait(self, after: int, timeout: float) -> Sample:
        with self._changed:
            self._changed.wait_for(lambda: self._sample.number != after, timeout)
            return self._aged()

    def _aged(self) -> Sample:
        return replace(self._sample, age=round(max(time.time() - self._sample.time, 0.0), 3))

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="collector", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let go of the driver; waits for a look that is under way, but not for a driver that hangs."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(1.0)
        if self._thread is None or not self._thread.is_alive():
            self._watcher.close()

    def _run(self) -> None:
        beat = time.monotonic()
        while not self._ended.is_set():
            try:
                sample = self.look()
                for listener in self._listeners:
                    listener(sample)
            except Exception as error:  # noqa: BLE001  a defect must not end the watching: it is said with each sample
                self._keep(self._failed(Missing(f"a defect of gpudock: {type(error).__name__}: {error}")))
            beat = max(beat + self._interval, time.monotonic())  # a look that took long is not made up for
            self._ended.wait(beat - time.monotonic())
        self._watcher.close()

    def look(self, *, slow: bool | None = None, answer: Answer | Missing | None = None) -> Sample:
        """Look once. `slow`: also at what changes rarely, by default every ten seconds. `answer`: asked already."""
        began = time.monotonic()
        slow = began >= self._next_slow if slow is None else slow
        answer = self._watcher.look(slow=slow) if answer is None else answer
        if slow:
            self._next_slow = began + SLOW_EVERY
        sample = self._failed(answer) if isinstance(answer, Missing) else self._read(answer)
        return self._keep(replace(sample, took=round(time.monotonic() - began, 4)))

    def _keep(self, sample: Sample) -> Sample:
        with self._changed:
            self._sample = replace(sample, number=self._sample.number + 1)
            self._changed.notify_all()
            return self._aged()

    def _read(self, answer: Answer) -> Sample:
        processes, containers, people = self._machine.look(answer.processes)
        self._hear(answer)
        gpus = tuple(replace(gpu, xids=self._heard(gpu)) for gpu in answer.gpus)
        return replace(
            self._sample,
            time=answer.time,
            driver=answer.driver,
            cuda=answer.cuda,
            gpus=gather.held(gpus, processes, self._idle, time.monotonic()),
            processes=processes,
            containers=containers,
            people=people,
            engines=self._machine.engines(),
            problems=(*answer.problems, *gather.untold(answer.gpus), *self._machine.problems, *self._silent()),
        )

    def _failed(self, why: Missing) -> Sample:
        """What was last known, with the reason why it is old; after a while nothing but the reason and its age."""
        self._next_slow = 0.0  # a new child has not looked at anything yet
        if self._sample.never_read:
            return replace(self._sample, time=time.time(), gpus=why)
        if isinstance(self._sample.gpus, Missing) or time.time() - self._sample.time > GIVEN_UP:
            self._idle.clear()
            return replace(self._sample, gpus=why, processes=(), containers=(), people=(), problems=())
        return replace(self._sample, problems=(why.reason,))

    def _silent(self) -> tuple[str, ...]:
        silent = (f"{each.name}: {each.problem}" for each in self._machine.engines() if each.problem)
        return (*silent, *filter(None, (self._notes(),)))

    def _hear(self, answer: Answer) -> None:
        for uuid, code in answer.xids:
            heard = self._xids.setdefault(uuid, {})
            before = heard.pop(code, None)
            heard[code] = Xid(code=code, times=before.times + 1 if before else 1, last=answer.time)
            while len(heard) > MOST_XIDS:
                del heard[next(iter(heard))]

    def _heard(self, gpu: Gpu) -> tuple[Xid, ...]:
        return tuple(self._xids.get(gpu.uuid, {}).values())
