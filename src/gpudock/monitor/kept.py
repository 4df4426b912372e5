"""Small files of the kernel that are read again and again stay open: to open one costs more than to read it."""

import contextlib
import os

from gpudock.host.root import Root

LIMIT = 1 << 16  # bytes
MOST = 500  # files; a process may usually have 1024


class Kept:
    """Cgroup files below a root. Each reading is of now; once its cgroup is gone a file is looked for by name again."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._fds: dict[str, int] = {}
        self._read: set[str] = set()

    def text(self, path: str) -> str | None:
        """What is in it, None when it cannot be read."""
        self._read.add(path)
        if path in self._fds:
            with contextlib.suppress(OSError):
                return self._now(path)
            os.close(self._fds.pop(path))  # ENODEV: another cgroup may have its name
        if len(self._fds) >= MOST:
            return self._root.text(path, LIMIT)
        try:
            self._fds[path] = self._root.open(path)
            return self._now(path)
        except OSError:
            return None

    def _now(self, path: str) -> str:
        return os.pread(self._fds[path], LIMIT, 0).decode(errors="replace")

    def sweep(self) -> None:
        """Close what was not read since the last time."""
        for path in self._fds.keys() - self._read:
            os.close(self._fds.pop(path))
        self._read.clear()
