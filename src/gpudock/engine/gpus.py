"""Asks the driver about GPUs while the engine is being asked, and never waits for it longer than it is worth."""

import os
import pwd
import threading
from collections.abc import Callable

from gpudock import proc
from gpudock.engine.advice import Owner
from gpudock.facts.base import Missing
from gpudock.facts.gpu import Gpu
from gpudock.host import nvml
from gpudock.host.root import Root
from gpudock.plan.document import Plan
from gpudock.plan.quote import quote

LIBRARY = "libnvidia-ml.so."


class Reading:
    """What NVML tells of the GPUs, asked in a thread of its own from the moment this is made."""

    def __init__(self, ask: Callable[[], tuple[str, tuple[Gpu, ...]]]) -> None:
        self._answer: tuple[str, tuple[Gpu, ...]] = ("", ())
        self._thread = threading.Thread(target=self._run, args=(ask,), daemon=True)
        self._thread.start()

    def _run(self, ask: Callable[[], tuple[str, tuple[Gpu, ...]]]) -> None:
        self._answer = ask()

    def within(self, seconds: float) -> tuple[str, tuple[Gpu, ...]]:
        """The driver's CUDA version ("" when unknown) and the GPUs; nothing when the time is over."""
        self._thread.join(seconds)
        return self._answer


def of_plan(plan: Plan, run: proc.Runner = proc.run) -> Reading:
    """With the NVML that the plan was made with, so a simulated host is asked for its own."""
    files = [file["host"] for file in plan["key"]["files"] if f"/lib64/{LIBRARY}" in file["host"]]
    return Reading(lambda: _ask(files[0] if files else None, run))


def of_machine(driver: str, run: proc.Runner = proc.run) -> Reading:
    root = Root("/")
    return Reading(lambda: _ask(nvml.library(root, architecture=os.uname().machine, loaded=driver or None), run))


def _ask(path: str | None, run: proc.Runner) -> tuple[str, tuple[Gpu, ...]]:
    if path is None:
        return "", ()
    answer, found = nvml.ask(run, path)
    cuda = "" if isinstance(answer, Missing) or isinstance(answer.cuda, Missing) else answer.cuda
    return cuda, found


def owner(pid: int) -> Owner | None:
    """Who runs a process of this machine; None when it is gone, or in another pid namespace."""
    try:
        uid = os.stat(f"/proc/{pid}").st_uid
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            program = quote(file.read(64).strip())  # any process names itself as it likes
    except OSError:
        return None
    try:
        return Owner(uid, pwd.getpwuid(uid).pw_name, program)
    except KeyError:
        return Owner(uid, f"user {uid}", program)
