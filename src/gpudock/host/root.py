"""A folder read as if it were "/": every reader takes one; a fixture, a mounted disk and the machine are alike.

Links are resolved inside the root: an absolute link of a driver root in /mnt/driver points into /mnt/driver.
"""

import errno
import os
import stat

LINKS = 40  # the kernel's own limit
OWN = {"/", "/proc", "/sys"}  # their links lead nowhere else: the kernel may follow them, ten times as fast


class Root:
    """Paths given and returned are absolute inside the root. Nothing is written, nothing outside the root is read."""

    def __init__(self, folder: str = "/") -> None:
        self.folder = os.path.abspath(folder)
        self._whole = self.folder == "/"
        self._own = self.folder in OWN

    def __repr__(self) -> str:
        return f"Root({self.folder!r})"

    def host(self, path: str) -> str:
        """Where `path` (of this root, links already resolved) is on this machine."""
        return path if self._whole else self.folder + path

    def resolve(self, path: str) -> str | None:
        """The path behind all links, inside the root; None when nothing is there (dangling, looping or forbidden)."""
        if self._whole:
            try:
                return os.path.realpath(path, strict=True)
            except OSError:
                return None
        try:
            return self._walk(path)
        except OSError:
            return None

    def _walk(self, path: str) -> str:
        done: list[str] = []
        todo = [part for part in reversed(path.split("/")) if part not in {"", "."}]
        links = 0
        while todo:
            part = todo.pop()
            if part == "..":
                del done[-1:]
                continue
            here = self.folder + "/" + "/".join([*done, part])
            if not stat.S_ISLNK(os.lstat(here).st_mode):
                done.append(part)
                continue
            links += 1
            if links > LINKS:
                raise OSError(errno.ELOOP, "too many links", here)
            target = os.readlink(here)
            if target.startswith("/"):
                done.clear()
            todo.extend(piece for piece in reversed(target.split("/")) if piece not in {"", "."})
        return "/" + "/".join(done)

    def stat(self, path: str) -> os.stat_result | None:
        """Of what `path` leads to; None when nothing is there."""
        real = path if self._own else self.resolve(path)
        if real is None:
            return None
        try:
            return os.stat(self.host(real), follow_symlinks=self._own)
        except OSError:
            return None

    def lstat(self, path: str) -> os.stat_result | None:
        """Of `path` itself, which may be a link; its folder is resolved."""
        folder = self.resolve(os.path.dirname(path))
        if folder is None:
            return None
        try:
            return os.lstat(self.host(os.path.join(folder, os.path.basename(path))))
        except OSError:
            return None

    def open(self, path: str) -> int:
        """A descriptor to read a file by; never blocks on a FIFO. Raises OSError."""
        real = path if self._own else self.resolve(path)
        if real is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self.host(path))
        follow = 0 if self._own else os.O_NOFOLLOW
        return os.open(self.host(real), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | follow)

    def read(self, path: str, limit: int = 1 << 20) -> bytes:
        """At most `limit` bytes of a file. Raises OSError."""
        fd = self.open(path)
        try:
            data = os.read(fd, limit)
            while len(data) < limit and (more := os.read(fd, limit - len(data))):
                data += more
            return data
        finally:
            os.close(fd)

    def text(self, path: str, limit: int = 1 << 20) -> str | None:
        """As `read`, decoded (undecodable bytes replaced); None when it cannot be read."""
        try:
            return self.read(path, limit).decode(errors="replace")
        except OSError:
            return None

    def names(self, folder: str) -> list[str]:
        """Sorted names in a folder; none when it is not there or may not be read."""
        real = folder if self._own else self.resolve(folder)
        if real is None:
            return []
        try:
            return sorted(os.listdir(self.host(real)))
        except OSError:
            return []

    def readlink(self, path: str) -> str | None:
        """The text of the link `path` (its folder resolved inside the root); None when it is no link."""
        folder = self.resolve(os.path.dirname(path))
        if folder is None:
            return None
        try:
            return os.readlink(self.host(os.path.join(folder, os.path.basename(path))))
        except OSError:
            return None
