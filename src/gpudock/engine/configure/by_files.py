"""Engines that read files when they start: podman always, containerd and CRI-O when their service is restarted."""

import socket
import time
from collections.abc import Callable
from typing import NamedTuple

from gpudock import proc
from gpudock.engine.configure import service, work
from gpudock.engine.configure.change import Change
from gpudock.errors import EngineError, GpudockError

PATIENCE, STEP = 30.0, 0.2  # seconds


def nothing() -> None:
    """No reason to refuse."""


class ByFiles(NamedTuple):
    """`answer`: what is wrong with the files in the engine's own words, "" when it reads them as meant."""

    engine: str
    changes: tuple[Change, ...]
    answer: Callable[[], str]
    run: proc.Runner
    manager: service.Manager | None = None  # None: there is no daemon
    socket: str = ""
    restart: bool = False
    notes: tuple[str, ...] = ()
    refuse: Callable[[], None] = nothing
    sleep: Callable[[float], None] = time.sleep

    def describe(self) -> list[str]:
        return [*work.described(self.changes), *self._todo("would be ")]

    def apply(self) -> list[str]:
        self.refuse()
        work.make(self.changes)
        try:
            self._check()
            if self._restarts:
                self._restarted()
        except GpudockError as error:
            work.take_back(self.changes)
            raise work.failed(error, self._rescue()) from error
        done = work.described(self.changes)
        return [*done, f"{self.engine} confirms the settings", *self._todo("was ")]

    @property
    def _restarts(self) -> bool:
        return bool(self.restart and self.manager and self.manager.restart)

    def _check(self) -> None:
        wrong = self.answer()
        if wrong:
            raise EngineError(f"{self.engine} does not take the settings.", why=wrong)

    def _restarted(self) -> None:
        assert self.manager is not None
        service.restart(self.manager, self.run)
        end = time.monotonic() + PATIENCE
        while not _listens(self.socket):
            if time.monotonic() > end:
                raise EngineError(
                    f"{self.engine} has not come up with the new settings.",
                    why=f"nobody listens at {self.socket} after {PATIENCE:g} s",
                    mend=f"see what it said: journalctl -u {self.manager.unit} -n 30",
                )
            self.sleep(STEP)

    def _rescue(self) -> str:
        try:
            if self._restarts and not _listens(self.socket):
                self._restarted()
        except GpudockError as error:
            return f"the old files are back, but {self.engine} does not run: {error}"
        return "the old files are back"

    def _todo(self, verb: str) -> list[str]:
        if self._restarts:
            return [f"{self.engine} {verb}restarted: its containers go on"]
        if self.manager is None or not self.changes:
            return [] if self.changes else ["nothing is to be changed"]
        command = " ".join(self.manager.restart)
        how = f"sudo {command}   (or add --restart)" if command else "in the way that it was started"
        return [f"{self.engine} reads this when it is restarted: {how}"]


def _listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as found:
        found.settimeout(PATIENCE)
        try:
            found.connect(path)
        except OSError:
            return False
        return True
