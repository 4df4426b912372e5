"""The turn at NVML where its file cannot be written. Who waits for whom: tests/real."""

import fcntl
import os
import resource
import threading
import time
from pathlib import Path

from gpudock.host import nvml_turn


def test_a_full_file_system_gives_no_turn_and_no_error(tmp_path: Path) -> None:
    """Played by a limit on the size of files, which the same write runs into."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with nvml_turn.taken(str(tmp_path), 5.0) as turn:
            given = turn
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert given is None
    with nvml_turn.taken(str(tmp_path), 5.0) as turn:  # and the lock was given back
        assert isinstance(turn, int)
        assert os.stat(f"{tmp_path}/nvml.lock").st_size > 0


def test_the_time_of_the_one_before_is_not_taken_for_that_of_the_holder(tmp_path: Path) -> None:
    """Who has just got the lock has not written his time yet: there stands that of one who had it long ago."""
    lock = tmp_path / "nvml.lock"
    lock.write_text("0.000\n4242\n")
    with lock.open("r+") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)

        def go_on() -> None:
            holder.seek(0)
            holder.write(f"{time.clock_gettime(time.CLOCK_BOOTTIME):.3f}\n77\n")
            holder.flush()
            fcntl.flock(holder, fcntl.LOCK_UN)

        later = threading.Timer(0.05, go_on)
        later.start()
        with nvml_turn.taken(str(tmp_path), 5.0) as turn:
            assert isinstance(turn, int)
        later.join()


def test_a_holder_that_stays_is_told_with_its_pid(tmp_path: Path) -> None:
    lock = tmp_path / "nvml.lock"
    lock.write_text("0.000\n4242\n")
    with lock.open("r+") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        with nvml_turn.taken(str(tmp_path), 5.0) as turn:
            assert str(turn).startswith("NVML is stuck: process 4242 waits for the driver since")
