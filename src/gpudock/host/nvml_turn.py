"""At most one NVML child at a time per user, so that a hanging driver never gathers a crowd of stuck processes.

The turn is an exclusive lock on one file. The child inherits it and keeps it as long as it lives, even when gpudock has
given it up. The file says since when the turn is taken (seconds since boot) and, on a second line, the child's pid.
"""

import contextlib
import fcntl
import os
import stat
import time
from collections.abc import Iterator

PATIENCE = 10.0  # seconds in all; a holder that is slower than `deadline` is reported at once
STEP = 0.005
SURE = 0.25  # seconds: who has just got the turn writes his time a moment later; till then the one before him has it


def folder() -> str:
    """Where this user's lock is: GPUDOCK_RUN_DIR, or /run/gpudock for root, else the user's runtime folder."""
    configured = os.environ.get("GPUDOCK_RUN_DIR", "")
    if configured.startswith("/"):
        return configured
    if os.geteuid() == 0:
        return "/run/gpudock"
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    return f"{runtime}/gpudock" if runtime.startswith("/") else f"/tmp/gpudock-{os.geteuid()}"  # noqa: S108  checked


@contextlib.contextmanager
def taken(place: str, deadline: float) -> Iterator[int | str | None]:
    """Wait for the turn and give the lock's descriptor; words when a child that is older than `deadline` holds it.

    None when there is no folder for a lock (a read-only or full /run): reading the GPUs matters more than the rule.
    """
    fd = _open(place)
    if fd is None:
        yield None
        return
    try:
        stuck = _wait(fd, deadline)
        if stuck is None and not _written(fd):
            yield None
        else:
            yield stuck or fd
    finally:
        os.close(fd)


class Turns:
    """The turn of a child that lives on: taken for each question, and kept by the child when it does not answer.

    `fd` is the lock, which the child has to inherit; None where there is no folder for one.
    """

    def __init__(self, place: str) -> None:
        self.fd = _open(place)

    def take(self, pid: int, deadline: float) -> str | None:
        """Wait for the turn; words when somebody else's child is stuck."""
        if self.fd is None:
            return None
        stuck = _wait(self.fd, deadline)
        if stuck is None and _written(self.fd):
            os.write(self.fd, b"%d\n" % pid)
        return stuck

    def give_back(self) -> None:
        if self.fd is not None:
            fcntl.flock(self.fd, fcntl.LOCK_UN)

    def close(self) -> None:
        """The lock stays with the child if it is the child's turn, until that ends."""
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None


def _open(place: str) -> int | None:
    try:
        os.makedirs(place, mode=0o755, exist_ok=True)
        owner = os.lstat(place)
        if not stat.S_ISDIR(owner.st_mode) or owner.st_uid != os.geteuid() or owner.st_mode & 0o022:
            return None  # somebody else's: he could hold the lock for ever
        return os.open(f"{place}/nvml.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:
        return None


def _written(fd: int) -> bool:
    try:
        os.ftruncate(fd, 0)
        os.lseek(fd, 0, os.SEEK_SET)
        os.write(fd, b"%.3f\n" % time.clock_gettime(time.CLOCK_BOOTTIME))
    except OSError:  # ENOSPC
        return False
    return True


def _wait(fd: int, deadline: float) -> str | None:
    until = time.monotonic() + PATIENCE
    suspect, changed = None, 0.0
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder, now = _holder(fd), time.monotonic()
            if holder != suspect:
                suspect, changed = holder, now
            elif holder and now - changed > SURE and _age(holder) > deadline:
                return _stuck(_age(holder), holder[1])
            if now > until:
                return f"NVML is busy: other gpudock processes asked it for {PATIENCE:g} s"
            time.sleep(STEP)
        else:
            return None


def _holder(fd: int) -> tuple[float, str] | None:
    """(since when, pid) of the child that has the turn; None while the file is being written."""
    since, _, rest = os.pread(fd, 200, 0).decode(errors="replace").partition("\n")
    try:
        return float(since), rest.strip()
    except ValueError:
        return None


def _age(holder: tuple[float, str]) -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME) - holder[0]


def _stuck(age: float, pid: str) -> str:
    began = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(time.time() - age))
    process = f"process {pid}" if pid.isdigit() else "a process"
    return f"NVML is stuck: {process} waits for the driver since {began}"
