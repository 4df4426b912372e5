"""Names of people. /etc/passwd is read here; a directory service is asked beside, because it may take its time."""

import contextlib
import pwd
import time

from gpudock.host.later import Later
from gpudock.host.root import Root

FRESH = 300.0  # seconds
MOST = 8  # questions at a time to a directory, which may never answer: each has a thread of its own
_LIMIT = 8 << 20  # bytes


class Accounts:
    """`wait`: seconds from now on in which a name is waited for; later it is shown as soon as it is told."""

    def __init__(self, root: Root, wait: float = 0.0) -> None:
        self._root = root
        self._patient = time.monotonic() + wait
        self._until = 0.0
        self._names: dict[int, str] = {}
        self._ranges: list[tuple[int, int, str]] = []
        self._asked: dict[int, Later[str]] = {}
        self._told: dict[int, str] = {}  # what a directory said before it is asked again, or no longer answers

    def name(self, uid: int) -> str:
        """Of an account; "#1000" for one that nobody knows (yet)."""
        self._refresh()
        if uid in self._names:
            return self._names[uid]
        if uid not in self._asked:
            if sum(not asked.ended for asked in self._asked.values()) >= MOST:
                return self._told.get(uid) or f"#{uid}"
            self._asked[uid] = Later(lambda: _asked(uid))
        if (patience := self._patient - time.monotonic()) > 0:
            with contextlib.suppress(TimeoutError):
                self._asked[uid].result(patience)
        return self._asked[uid].done or self._told.get(uid) or f"#{uid}"

    def holder(self, uid: int) -> tuple[str, int | None] | None:
        """The account whose subordinate ids (/etc/subuid) `uid` is one of: its name and uid."""
        self._refresh()
        for first, count, name in self._ranges:
            if first <= uid < first + count:
                if name.isdecimal():
                    return self.name(int(name)), int(name)
                return name, next((each for each, known in self._names.items() if known == name), None)
        return None

    def _refresh(self) -> None:
        if time.monotonic() < self._until:
            return
        self._until = time.monotonic() + FRESH
        self._told |= {uid: name for uid, asked in self._asked.items() if (name := asked.done)}
        self._asked = {uid: asked for uid, asked in self._asked.items() if not asked.ended}
        self._names, self._ranges = {}, []
        for line in (self._root.text("/etc/passwd", _LIMIT) or "").split("\n"):
            words = line.split(":")
            if len(words) > 2 and words[2].isdecimal():
                self._names.setdefault(int(words[2]), words[0])
        for line in (self._root.text("/etc/subuid", _LIMIT) or "").split("\n"):
            words = line.strip().split(":")
            if len(words) == 3 and words[1].isdecimal() and words[2].isdecimal():
                self._ranges.append((int(words[1]), int(words[2]), words[0]))


def _asked(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return ""
