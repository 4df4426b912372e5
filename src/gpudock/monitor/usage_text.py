"""Usage as a table, as CSV and as JSON."""

import io

import msgspec

from gpudock.facts.base import Missing
from gpudock.monitor.source import Usage, UsageRow
from gpudock.monitor.table import aligned
from gpudock.monitor.words import UNKNOWN, moment

_NOBODY = {"container": "No container had a GPU.", "env": "No environment of gpudock had a GPU."}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what spreadsheets take for one


def table(usage: Usage, width: int = 0) -> str:
    """`width`: names are shortened so that it needs no more; 0: none is."""
    heads = (usage.by.upper(), "HELD", "USED", "OF HELD", "ENERGY", "GPUS", "LAST")
    rows = [
        (
            row.label,
            _hours(row.held),
            _hours(row.used),
            UNKNOWN if isinstance(row.used, Missing) or not row.held else f"{100 * row.used / row.held:.0f} %",
            _energy(row.energy),
            str(row.gpus),
            moment(row.last),
        )
        for row in usage.rows
    ]
    head = f"{moment(max(usage.since, usage.recorded_since or usage.since))} to {moment(usage.until)}"
    return (
        head
        + "\n"
        + (
            aligned([heads, *rows], {1, 2, 3, 4, 5, 6}, width)
            if rows
            else f"\n{_NOBODY.get(usage.by, 'Nobody had a GPU.')}"
        )
    )


def csv(usage: Usage) -> str:
    """Seconds and joules; an empty field is what is not known."""
    import csv as library  # noqa: PLC0415  start-up time: only here

    text = io.StringIO()
    writer = library.writer(text, lineterminator="\n")
    writer.writerow((usage.by, "name", "held_seconds", "used_seconds", "energy_joules", "gpus", "first", "last"))
    for row in usage.rows:
        used, energy = (("" if isinstance(each, Missing) else each) for each in (row.used, row.energy))
        writer.writerow((_cell(row.key), _cell(row.label), row.held, used, energy, row.gpus, *_times(row)))
    return text.getvalue()


def json(usage: Usage) -> str:
    return msgspec.json.encode(usage).decode()


def _hours(seconds: float | Missing) -> str:
    if isinstance(seconds, Missing):
        return UNKNOWN
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.0f} min"


def _energy(joules: float | Missing) -> str:
    if isinstance(joules, Missing):
        return UNKNOWN
    return f"{joules / 3.6e6:.2f} kWh" if joules >= 3.6e5 else f"{joules / 3600:.1f} Wh"


def _times(row: UsageRow) -> tuple[int, int]:
    return int(row.first), int(row.last)


def _cell(text: str) -> str:
    """A name that somebody gave a container must do nothing in a spreadsheet or a terminal."""
    plain = "".join(each if each.isprintable() else "?" for each in text)
    return f"'{plain}" if plain.startswith(_FORMULA) else plain
