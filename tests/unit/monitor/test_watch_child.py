"""What the watching child decides on its own; real/test_watch starts it."""

import time
from typing import Any, cast

from gpudock.monitor import watch_child

HOUR = 3600 * 10**6  # microseconds


class Nvml:
    """Has no samples, and remembers since when it was asked for some."""

    def __init__(self) -> None:
        self.since = 0

    def call(self, name: str, *arguments: Any) -> None:
        assert name == "nvmlDeviceGetProcessUtilization"
        self.since = arguments[-1].value


class Device:
    handle = None

    def __init__(self, seen: int) -> None:
        self.seen = seen


def test_a_clock_that_was_set_back_does_not_make_everybody_idle() -> None:
    """The driver's samples bear the time of this machine's clock: none is newer than those of an hour from now."""
    now = int(time.time() * 1e6)
    nvml = Nvml()
    assert watch_child.samples(cast("Any", nvml), cast("Any", Device(now + HOUR))) == b""
    assert now <= nvml.since < now + HOUR
    assert watch_child.samples(cast("Any", nvml), cast("Any", Device(now - 5))) == b""
    assert nvml.since == now - 5
