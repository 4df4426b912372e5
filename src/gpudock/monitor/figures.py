"""What words has no place for: bars and small lines of a terminal, and figures where there is little room."""

from collections.abc import Sequence

from gpudock.facts.base import Missing
from gpudock.monitor.words import UNKNOWN, size

_LEVELS = "▁▂▃▄▅▆▇█"


def part(used: int | Missing, total: int | Missing) -> str:
    """Bytes of bytes, as short as it can be said: "118/140 GiB"."""
    if isinstance(used, Missing) or isinstance(total, Missing):
        return f"{size(used)}/{size(total)}"
    whole, unit = size(total).split()
    divided = total / float(whole) if float(whole) else 1
    return f"{used / divided:.0f}/{float(whole):.0f} {unit}"


def bar(share: float | Missing | None, width: int) -> tuple[str, str]:
    """A line of so many cells to the half of one, and the rest of its track; "?" when the share is not known."""
    if share is None or isinstance(share, Missing):
        return "", UNKNOWN.center(width, "╌")
    halves = round(max(0.0, min(1.0, share)) * width * 2)
    filled = "━" * (halves // 2) + "╸" * (halves % 2)
    return filled, "─" * (width - len(filled))


def spark(shares: Sequence[float | None], width: int) -> str:
    """The last values as a line of so many cells; a blank where nothing is known."""
    shown = list(shares[-width:])
    marks = (" " if each is None else _LEVELS[round(max(0.0, min(1.0, each)) * 7)] for each in shown)
    return "".join(marks).rjust(width)
