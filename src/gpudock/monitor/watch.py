"""Asks the watching child, which lives on from look to look: one deadline for each, and at most one stuck child.

A child that does not answer is asked to stop. If the driver holds it even then it is left alone, and none is started
until it is gone; it keeps the turn (host.nvml_turn), so no other gpudock of this user starts one either.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

import gpudock
from gpudock.errors import HostError
from gpudock.facts.base import Missing
from gpudock.facts.snapshot import Roots
from gpudock.host import nvml, nvml_turn
from gpudock.host.plain import one_line
from gpudock.host.root import Root
from gpudock.monitor.sample import Gpu, Part, Process
from gpudock.proc import Talk

DEADLINE = 5.0  # seconds
AGAIN = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)  # seconds until a driver that has failed so many times is asked again
SPARED = 600.0  # seconds: a driver that crashed is asked only for what changes from second to second
RENEW = 60.0  # seconds: a child that cannot read all GPUs is replaced, because only a new one finds them again
# As host.nvml_sample starts its child. The bytecode must be found although the folders of users are not looked at.
_START = "import sys; sys.path.append(sys.argv.pop(1)); from gpudock.monitor import watch_child as c; c.main()"
_PACKAGES = os.path.dirname(os.path.dirname(gpudock.__file__))
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}


class Answer(Part, frozen=True):
    """What the child writes."""

    error: str = ""
    time: float = 0.0
    driver: str = ""
    cuda: str | Missing = Missing("not told")
    gpus: tuple[Gpu, ...] = ()
    processes: tuple[Process, ...] = ()
    xids: tuple[tuple[str, int], ...] = ()  # UUID and code, since the last answer
    problems: tuple[str, ...] = ()  # of GPUs, which a new child may find again
    deaf: str = ""  # why there will be no more xids


class Driver(NamedTuple):
    """Which NVML to ask, and a text that changes when another driver was loaded."""

    library: str | None
    loaded: str


def driver(roots: Roots) -> Driver:
    return Driver(nvml.of_host(roots), nvml.loaded(Root(roots.sys)))


class Watcher:
    """Not for several threads at once."""

    def __init__(self, find: Callable[[], Driver], *, turns: str | None = None, deadline: float = DEADLINE) -> None:
        self._find, self._deadline = find, deadline
        self._folder = turns or nvml_turn.folder()
        self._talk: Talk | None = None
        self._turns: nvml_turn.Turns | None = None
        self._stuck: tuple[Talk, float] | None = None
        self._failures = 0
        self._not_before = 0.0
        self._reason = "not asked yet"
        self._began = 0.0
        self._loaded = ""
        self._whole = True
        self._crash, self._slow_from = "", 0.0  # why it is spared, and until when

    def look(self, *, slow: bool) -> Answer | Missing:
        """Ask once. Takes little more than the deadline at the worst. What crashes is asked again, and for less."""
        if self._stuck is not None:
            if self._stuck[0].ended is None:
                since = time.strftime("%H:%M:%S", time.localtime(self._stuck[1]))
                return Missing(f"NVML is stuck: process {self._stuck[0].pid} waits for the driver since {since}")
            self._stuck = None
        if slow and self._talk is not None and self._outdated():
            self.close()
        if self._talk is None:
            if time.monotonic() < self._not_before:
                return Missing(self._reason)
            if (wrong := self._start()) is not None:
                return self._failed(wrong.reason)
        return self._ask(slow=slow and time.monotonic() >= self._slow_from)

    def _outdated(self) -> bool:
        renew = not self._whole and time.monotonic() - self._began > RENEW
        return renew or self._find().loaded != self._loaded

    def _start(self) -> Missing | None:
        found = self._find()
        if found.library is None:
            return Missing(f"there is no NVIDIA driver: no {nvml.LIBRARY}")
        self._turns = nvml_turn.Turns(self._folder)
        fds = () if self._turns.fd is None else (self._turns.fd,)
        argv = (sys.executable, "-I", "-S", "-c", _START, _PACKAGES, found.library, *map(str, fds))
        try:
            self._talk = Talk(argv, _ENVIRONMENT, fds)
        except HostError as error:
            return Missing(str(error))
        if found.loaded != self._loaded:
            self._slow_from = 0.0
        self._began, self._loaded = time.monotonic(), found.loaded
        return None

    def _ask(self, *, slow: bool) -> Answer | Missing:
        assert self._talk is not None
        assert self._turns is not None
        busy = self._turns.take(self._talk.pid, self._deadline)
        if busy is not None:
            self.close()
            return self._failed(busy)
        reply = self._talk.ask(b"slow" if slow else b"fast", self._deadline)
        if reply is None:
            failed = self._failed(self._given_up(self._talk, slow=slow))
            return self.look(slow=False) if slow and time.monotonic() < self._slow_from else failed
        self._turns.give_back()
        try:
            answer = msgspec.json.decode(reply, type=Answer)
        except (msgspec.DecodeError, RecursionError) as error:
            self.close()
            return self._failed(f"the driver's answer cannot be understood: {one_line(str(error))}")
        if answer.error:
            self.close()
            return self._failed(one_line(answer.error))
        if answer.problems and not answer.gpus:  # all are lost: a new child has to look for them
            self.close()
            return self._failed("; ".join(map(one_line, answer.problems)))
        self._failures, self._whole = 0, not answer.problems
        spared = time.monotonic() < self._slow_from
        left_out = f"{self._crash}, so limits, errors and traffic are not read" if spared else ""
        return replace(answer, problems=(*answer.problems, *filter(None, (answer.deaf, left_out))))

    def _given_up(self, talk: Talk, *, slow: bool) -> str:
        stuck = not talk.stop()
        code = talk.ended
        if stuck:
            self._stuck = (talk, time.time() - self._deadline)
        self._talk = None
        self.close()
        if code in {None, -int(signal.SIGTERM)}:
            return f"NVML gave no answer within {self._deadline:g} s" + (" and is stuck" if stuck else "")
        self._crash = f"NVML crashed: {_ending(code or 0)}"
        self._slow_from = time.monotonic() + SPARED if slow else 0.0
        return self._crash

    def _failed(self, reason: str) -> Missing:
        self._reason = reason
        self._not_before = time.monotonic() + AGAIN[min(self._failures, len(AGAIN) - 1)]
        self._failures += 1
        return Missing(reason)

    def close(self) -> None:
        """Let go of the driver."""
        if self._talk is not None and not self._talk.stop():
            self._stuck = (self._talk, time.time())
        self._talk = None
        if self._turns is not None:
            self._turns.close()
            self._turns = None


def _ending(code: int) -> str:
    with contextlib.suppress(ValueError):
        if code < 0:
            return signal.Signals(-code).name
    return f"exit code {code}"
