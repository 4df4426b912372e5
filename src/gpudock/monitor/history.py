"""Questions about what is remembered. Each opens the file for itself, for reading only, so any thread may ask."""

import contextlib
import errno
import os
import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

from gpudock.errors import HostError
from gpudock.facts.base import Missing
from gpudock.monitor.shares import NOT_ALL
from gpudock.monitor.source import By, Chart, Metric, Series, Subject, Usage, UsageRow
from gpudock.monitor.store import COARSE, FINE, KEEP_FINE, PATIENCE, VERSION

MOST_SERIES = 20

# What is added up by -> the columns of shares that tell it, and the seconds held that count once then
_COLUMNS = {
    "user": ("user", "user_held"),
    "container": ("container", "held"),
    "env": ("env", "env_held"),
    "gpu": ("gpu", "gpu_held"),
    "day": ("date(time, 'unixepoch', 'localtime')", "gpu_held"),
}
_OF_GPU = {
    "utilization": "avg(utilization)",
    "memory": "avg(memory)",
    "power": "avg(power)",
    "temperature": "avg(temperature)",
    "held": "sum(held) / {step}",
}
# What several shares had in the same period is added up first, and then averaged over the periods of a step.
_OF_SHARE = {
    "utilization": (
        "CASE WHEN sum(unknown) > 0 THEN NULL ELSE 100.0 * sum(used) / {tier} END",
        "sum(value) * {tier} / {step}",
    ),
    "memory": ("sum(memory)", "avg(value)"),
    "held": ("sum({held})", "sum(value) / {step}"),
}


class _Cut(NamedTuple):
    tier: int
    step: int
    since: int
    until: int


class Remembered:
    """A History over the file that a Recorder writes."""

    def __init__(self, path: str) -> None:
        self._path = path

    def chart(self, metric: Metric, subject: Subject, since: float, until: float, points: int = 300) -> Chart:
        tier = FINE if until - since <= KEEP_FINE and since >= self._newest(until) - KEEP_FINE else COARSE
        step = max(-(-int(until - since) // max(points, 1)) // tier * tier, tier)
        while (until - since) / step > points:
            step += tier
        begin = int(since) // step * step
        times = tuple(float(time) for time in range(begin, int(until), step))[-points:]
        rows = self._rows(metric, subject, _Cut(tier, step, begin, int(until))) if times else []
        collected: dict[tuple[str, str], dict[float, float | None]] = {}
        for key, label, time, value in rows:
            collected.setdefault((key, label or key), {})[float(time)] = value
        ranked = sorted(collected.items(), key=lambda item: -sum(value or 0.0 for value in item[1].values()))
        series = tuple(
            Series(key=key, label=label, values=tuple(values.get(time) for time in times))
            for (key, label), values in ranked[:MOST_SERIES]
        )
        return Chart(metric=metric, subject=subject, step=float(step), times=times, series=series)

    def _rows(self, metric: Metric, subject: Subject, cut: _Cut) -> list[tuple[str, str, int, float | None]]:
        span = (cut.step, cut.step, cut.tier, cut.since, cut.until)
        if subject == "gpu":
            value = _OF_GPU[metric].format(step=cut.step)
            query = (
                f"SELECT names.key, names.label, time / ? * ? AS at, {value} FROM gpus JOIN names ON names.id = gpu"
                " WHERE tier = ? AND time >= ? AND time < ? GROUP BY gpu, at"
            )
        elif metric in _OF_SHARE:
            who, held = _COLUMNS[subject]
            inner, outer = (each.format(step=cut.step, tier=cut.tier, held=held) for each in _OF_SHARE[metric])
            query = (
                f"SELECT names.key, names.label, at, {outer} FROM (SELECT {who} AS who,"
                f" time / ? * ? AS at, {inner} AS value FROM shares"
                " WHERE tier = ? AND time >= ? AND time < ? GROUP BY time, who)"
                " JOIN names ON names.id = who WHERE names.key != '' GROUP BY who, at"
            )
        else:
            return []
        with self._opened() as database:
            return [] if database is None else database.execute(query, span).fetchall()

    def usage(self, by: By, since: float, until: float) -> Usage:
        """Of five-minute periods, and ten-second ones where those are not made yet."""
        day = by == "day"
        who, held = _COLUMNS[by]
        key, label, names = ("who", "''", "") if day else ("key", "label", " JOIN names ON id = who WHERE key != ''")
        # Grouped in the order of the table's key first, which needs less sorting.
        query = (
            f"SELECT {key}, {label}, sum(held), sum(used), sum(unknown), sum(joules), sum(unmetered),"
            " count(DISTINCT gpu), min(time), min(:until, max(time + tier))"
            f" FROM (SELECT {who} AS who, tier, time, gpu, sum({held}) AS held, sum(used) AS used,"
            f" total(unknown * {held} / held) AS unknown, sum(joules) AS joules,"
            f" total(unmetered * {held} / held) AS unmetered FROM shares"
            " WHERE ((tier = :coarse AND time < :edge) OR (tier = :fine AND time >= :edge)) AND time >= :since"
            f" AND time < :until GROUP BY tier, time, gpu, who){names} GROUP BY who ORDER BY 3 DESC, 1 LIMIT 10000"
        )
        with self._opened() as database:
            if database is None:
                return Usage(by=by, since=since, until=until, recorded_since=None, rows=())
            values = {"coarse": COARSE, "fine": FINE, "since": since, "until": until}
            edge, first, exactly = database.execute(
                "SELECT (SELECT coalesce(max(time) + :coarse, 0) FROM gpus WHERE tier = :coarse AND time < :until),"
                " min(time), (SELECT min(time) FROM gpus WHERE tier = :fine) FROM gpus",
                values,
            ).fetchone()
            if exactly is not None and exactly < first + COARSE:
                first = exactly  # in the middle of the first period of five minutes
            values["edge"] = edge
            rows = [_row(each) for each in database.execute(query, values)]
        if day:
            rows.sort(key=lambda row: row.key)
        return Usage(by=by, since=since, until=until, recorded_since=first, rows=tuple(rows))

    def _newest(self, until: float) -> int:
        with self._opened() as database:
            query = "SELECT max(time) FROM gpus WHERE time < ?"
            found = None if database is None else database.execute(query, (until,)).fetchone()[0]
        return int(found or 0)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection | None]:
        """None: nothing was ever written. Raises HostError."""
        if not self._there():
            yield None
            return
        try:
            name = self._path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
            with contextlib.closing(sqlite3.connect(f"file:{name}?mode=ro", uri=True, timeout=PATIENCE)) as database:
                yield database if self._version_of(database) else None
        except sqlite3.Error as error:
            mend = "try again; if it stays so, move the file away and gpudock serve begins a new one"
            if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_READONLY_ROLLBACK:
                mend = "start gpudock serve: it ended in the middle of writing, and puts that in order"
            raise HostError(f"The history {self._path} cannot be read.", why=str(error), mend=mend) from error

    def _version_of(self, database: sqlite3.Connection) -> int:
        """0: nothing was written yet. It is only read here, so it is not made one of this version."""
        version = int(database.execute("PRAGMA user_version").fetchone()[0])
        if version in {0, VERSION}:
            return version
        why = f"another gpudock wrote it: it is of version {version}, not {VERSION}"
        raise HostError(f"The history {self._path} cannot be read.", why=why, mend="ask that one")

    def _there(self) -> bool:
        """Without opening it: closing it again would take SQLite's locks from whoever writes in this process."""
        mend = "ask whoever runs gpudock serve, or use sudo"
        try:
            os.stat(self._path)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise HostError(f"The history {self._path} cannot be read.", why=error.strerror or "", mend=mend) from error
        if not os.access(self._path, os.R_OK):
            raise HostError(f"The history {self._path} cannot be read.", why=os.strerror(errno.EACCES), mend=mend)
        return True


def _row(told: tuple[str, str, float, float, float, float, float, int, int, int]) -> UsageRow:
    key, label, held, used, unknown, joules, unmetered, gpus, first, last = told
    return UsageRow(
        key=key,
        label=label or key,
        held=round(held, 1),
        used=Missing("the driver does not tell it of these processes") if unknown > held * NOT_ALL else round(used, 1),
        energy=Missing("the driver does not tell the power") if unmetered > held * NOT_ALL else round(joules, 1),
        gpus=gpus,
        first=float(first),
        last=float(last),
    )
