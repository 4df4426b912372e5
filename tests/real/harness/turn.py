"""Folders such as /run/gpudock and /var/run/cdi are one for the machine: one session of tests/real at a time."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def taken(say: Callable[[str], object]) -> Iterator[None]:
    with open("/tmp/gpudock-tests.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another session of tests/real on this machine to end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
