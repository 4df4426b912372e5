"""Which processes still live, without reading anything of them: one system call for all, by pidfds.

A pidfd stands for one process and never for a later one with its number.
"""

import os
import select


class Alive:
    """Of this machine's processes. Where the kernel or a sandbox has no pidfds it knows nobody."""

    def __init__(self) -> None:
        self._fds: dict[int, int] = {}
        self._poll = select.poll()

    def watch(self, pid: int) -> None:
        try:
            fd = os.pidfd_open(pid)
        except (OSError, AttributeError):
            return
        self.forget(pid)
        self._fds[pid] = fd
        self._poll.register(fd, select.POLLIN)

    def known(self) -> set[int]:
        """Those that are watched and have not ended."""
        ended = {fd for fd, _ in self._poll.poll(0)} if self._fds else set()
        return {pid for pid, fd in self._fds.items() if fd not in ended}

    def forget(self, pid: int) -> None:
        fd = self._fds.pop(pid, None)
        if fd is not None:
            self._poll.unregister(fd)
            os.close(fd)
