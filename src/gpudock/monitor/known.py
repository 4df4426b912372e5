"""Which containers the engines know. They are asked in a thread of its own, because an engine may be slow or hang, and
as seldom as possible: for ids that are new, and now and then whether a name has changed.
"""

import threading
import time
from collections.abc import Callable, Collection
from typing import NamedTuple

from gpudock.engine import containers
from gpudock.engine.base import Client
from gpudock.engine.containers import Container
from gpudock.errors import GpudockError
from gpudock.host.root import Root
from gpudock.monitor import cgroup
from gpudock.monitor.cgroup import NOWHERE, Place
from gpudock.monitor.sample import Engine
from gpudock.proc import Runner

PATIENCE = 5.0  # seconds for an engine's answer
AGAIN_KNOWN, AGAIN_UNKNOWN = 120.0, 20.0  # seconds until it is asked about a container again
FORGOTTEN = 600.0  # seconds after which a container that nobody asks for is dropped


class Wanted(NamedTuple):
    id: str
    user: int  # whose engine may know it; 0: the machine's
    engine: str = ""  # what its cgroup looks like

    @property
    def key(self) -> str:
        """As sample.Container.id: two users' engines may each have, or claim, a container with one id."""
        return f"{self.id}@{self.user}" if self.user else self.id


class Known(NamedTuple):
    container: Container
    engine: str
    place: Place  # of its first process, if it is the machine's engine; nowhere if that is just gone, or hidden from us


class _Entry:
    def __init__(self, now: float) -> None:
        self.known: Known | None = None
        self.ask_at = 0.0
        self.wanted_at = now


Clients = Callable[[int], tuple[Client, ...]]


class Containers:
    """`clients` gives the engines of a user, 0 for the machine's own."""

    def __init__(self, clients: Clients, run: Runner, proc: Root) -> None:
        self._clients, self._run, self._proc = clients, run, proc
        self._entries: dict[Wanted, _Entry] = {}
        self._problems: dict[tuple[str, int], str] = {}  # by engine and user
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def find(self, wanted: Collection[Wanted], wait: float = 0.0) -> dict[Wanted, Known]:
        """Those that are known by now. Asking for the others begins; with `wait` it may take so many seconds."""
        now = time.monotonic()
        with self._lock:
            for each in wanted:
                self._entries.setdefault(each, _Entry(now)).wanted_at = now
            for each in [each for each, entry in self._entries.items() if now - entry.wanted_at > FORGOTTEN]:
                del self._entries[each]
            due = [each for each in wanted if self._entries[each].ask_at <= now]
            if due and (self._thread is None or not self._thread.is_alive()):
                self._thread = threading.Thread(target=self._ask, args=(due,), daemon=True)
                self._thread.start()
            self._forget_problems(wanted)
            thread = self._thread
        if wait and thread is not None:
            thread.join(wait)
        with self._lock:
            return {each: known for each in wanted if (known := self._entries[each].known) is not None}

    def _forget_problems(self, wanted: Collection[Wanted]) -> None:
        """Of engines that nothing is asked of any more: whether they answer by now is not known."""
        for (engine, user), problem in list(self._problems.items()):
            if problem and not any(
                each.user == user
                and each.engine in {"", engine}
                and ((known := self._entries[each].known) is None or known.engine == engine)
                for each in wanted
            ):
                del self._problems[engine, user]

    def engines(self) -> tuple[Engine, ...]:
        """Those that were asked so far, but for those that did not answer and are not needed any more."""
        with self._lock:
            asked = sorted(self._problems.items())
        return tuple(
            Engine(name=f"{name} of uid {user}" if user else name, problem=problem) for (name, user), problem in asked
        )

    def _ask(self, due: list[Wanted]) -> None:
        for user in sorted({each.user for each in due}):
            self._ask_engines(user, [each for each in due if each.user == user])

    def _ask_engines(self, user: int, due: list[Wanted]) -> None:
        found: dict[str, Known] = {}
        failed = False
        for client in self._clients(user):
            ids = [each.id for each in due if each.id not in found and each.engine in {"", client.name}]
            if not ids:
                continue
            problem = ""
            try:
                for told in containers.inspected(client, ids, self._run, timeout=PATIENCE):
                    if user or told.pid:  # of one that starts again just now it is not known where it is
                        found[told.id] = Known(told, client.name, NOWHERE if user else self._place(told.pid))
            except GpudockError as error:
                problem, failed = str(error), True
            with self._lock:
                self._problems[client.name, user] = problem
        with self._lock:
            now = time.monotonic()
            for each in due:
                if (entry := self._entries.get(each)) is None:
                    continue
                if each.id in found or not failed:  # an engine that is down does not make its containers unknown
                    entry.known = found.get(each.id)
                placed = each.id in found and (user or found[each.id].place.paths)
                entry.ask_at = now + (AGAIN_KNOWN if placed else AGAIN_UNKNOWN)

    def _place(self, pid: int) -> Place:
        return cgroup.place(self._proc.text(f"/{pid}/cgroup", 1 << 16) or "")
