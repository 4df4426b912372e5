"""Readings as people read them. What is not known is "?", and never a number."""

import time

from gpudock.facts.base import Missing

UNKNOWN = "?"
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def known(value: object, suffix: str = "") -> str:
    return UNKNOWN if isinstance(value, Missing) or value is None else f"{value}{suffix}"


def size(value: int | Missing) -> str:
    """ "1.5 GiB"."""
    if isinstance(value, Missing):
        return UNKNOWN
    amount, unit = float(value), 0
    while amount >= 1024 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    return f"{amount:.0f} {_UNITS[unit]}" if unit < 2 or amount >= 100 else f"{amount:.1f} {_UNITS[unit]}"


def share(part: int | Missing, whole: int | Missing) -> str:
    """ "40.0/140.4 GiB", both in the unit of the whole."""
    if isinstance(whole, Missing):
        return size(part)
    unit = size(whole).rpartition(" ")[2]
    divided = 1024.0 ** _UNITS.index(unit)
    return f"{UNKNOWN if isinstance(part, Missing) else f'{part / divided:.1f}'}/{whole / divided:.1f} {unit}"


def whole(value: float | Missing, suffix: str = "") -> str:
    return UNKNOWN if isinstance(value, Missing) else f"{value:.0f}{suffix}"


def span(seconds: float) -> str:
    """ "2 d 3 h", "15 min", "40 s"; what begins only later, because somebody set the clock, has lasted for "0 s"."""
    seconds = max(seconds, 0.0)
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if days:
        return f"{days:.0f} d {hours % 24:.0f} h"
    if hours:
        return f"{hours:.0f} h {minutes % 60:.0f} min"
    return f"{minutes:.0f} min" if minutes else f"{seconds:.0f} s"


def moment(when: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(when))
