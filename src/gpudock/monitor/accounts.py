"""Names of people. /etc/passwd is read here; a directory service is asked beside, because it may take its time."""

import pwd
import time

from gpudock.host.later import Later
from gpudock.host.root import Root

FRESH = 300.0  # seconds
_LIMIT = 8 << 20  # bytes


class Accounts:
    def __init__(self, root: Root) -> None:
        self._root = root
        self._until = 0.0
        self._names: dict[int, str] = {}
        self._ranges: list[tuple[int, int, str]] = []
        self._asked: dict[int, Later[str]] = {}

    def name(self, uid: int) -> str:
        """Of an account; "#1000" for one that nobody knows (yet)."""
        self._refresh()
        if uid in self._names:
            return self._names[uid]
        if uid not in self._asked:
            self._asked[uid] = Later(lambda: _asked(uid))
        return self._asked[uid].done or f"#{uid}"

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
        self._asked.clear()
        self._names, self._ranges = {}, []
        for line in (self._root.text("/etc/passwd", _LIMIT) or "").splitlines():
            words = line.split(":")
            if len(words) > 2 and words[2].isdecimal():
                self._names.setdefault(int(words[2]), words[0])
        for line in (self._root.text("/etc/subuid", _LIMIT) or "").splitlines():
            words = line.strip().split(":")
            if len(words) == 3 and words[1].isdecimal() and words[2].isdecimal():
                self._ranges.append((int(words[1]), int(words[2]), words[0]))


def _asked(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return ""
