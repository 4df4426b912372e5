"""The turn at NVML where its file cannot be written. Who waits for whom: tests/real."""

import os
import resource
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
