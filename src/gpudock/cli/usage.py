"""`gpudock usage`: who has had GPUs, and what was made of them."""

import os
import time
from typing import TYPE_CHECKING

from gpudock.cli.verb import Option, Verb

if TYPE_CHECKING:
    from gpudock.monitor.source import Usage

_UNITS = {"m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
KINDS = ("user", "container", "env", "gpu", "day")


def usage(*, by: str, since: str, csv: bool, as_json: bool, history: str) -> None:
    """Show GPU-hours by user, container, environment, GPU or day, from what `gpudock serve` remembers.

    HELD counts while a process is on a GPU, whatever it does; USED counts the share of it that worked; ENERGY is the
    GPU's, shared among those on it. A MIG instance counts as its part of the GPU. "?" is what the driver does not tell.
    """
    from typing import get_args

    from gpudock.cli.terminal import columns, show
    from gpudock.errors import HostError
    from gpudock.monitor import usage_text
    from gpudock.monitor.history import Remembered
    from gpudock.monitor.source import By
    from gpudock.monitor.store import usual_path

    kind: By = next(each for each in get_args(By) if each == by)
    path = history or usual_path(os.environ)
    now = time.time()
    found: Usage = Remembered(path).usage(kind, now - span(since), now)
    if found.recorded_since is None:
        mend = "start it: gpudock serve; or name its file with --history"
        raise HostError("Nothing is remembered yet.", why=f"gpudock serve has written nothing to {path}", mend=mend)
    if as_json:
        print(usage_text.json(found))
    elif csv:
        print(usage_text.csv(found), end="")
    else:
        show(usage_text.table(found, columns()))


def span(text: str) -> float:
    """Seconds of "90m", "12h", "7d" or "4w". Raises UsageError."""
    from gpudock.errors import UsageError

    number, unit = text[:-1], text[-1:]
    if unit in _UNITS and number.isascii() and number.isdecimal() and 0 < int(number) * _UNITS[unit] <= 400 * 86400:
        return int(number) * _UNITS[unit]
    raise UsageError(f"--since {text!r} is no span of time.", mend="write it like 12h, 7d or 4w, at most 400 days")


USAGE = Verb(
    usage,
    (
        Option(("--by",), "by", "What to add up by. [default: user]", "user", choices=KINDS),
        Option(("--since",), "since", "How far back: 90m, 12h, 7d, 4w. [default: 7d]", "7d", "SPAN"),
        Option(("--csv",), "csv", "Print CSV.", default=False),
        Option(("--json",), "as_json", "Print JSON.", default=False),
        Option(("--history",), "history", "The file that gpudock serve writes.", "", "FILE"),
    ),
)
