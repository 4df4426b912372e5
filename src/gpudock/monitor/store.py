"""What is remembered, in one SQLite file of bounded size: ten-second rows for six hours, five-minute rows for a month.

gpus    of each GPU in each period: means of what its readings were, and how long somebody held it
shares  of each person and container on each GPU: seconds held, seconds used, joules, mean memory. The seconds held are
        there for each way of adding them up, divided as shares.Held says: `held` is that by container
names   texts by number: users, container ids with their names, environments, UUIDs
"""

import os
import sqlite3
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from gpudock.errors import HostError
from gpudock.monitor.shares import Held
from gpudock.refresh.paths import paths

FINE, COARSE = 10, 300  # seconds
KEEP_FINE, KEEP_COARSE = 6 * 3600, 32 * 86400
JUMP = 3600  # a longer time without rows may be the clock's doing
LARGEST = 64 << 20  # bytes
_PAGE = 4096
PATIENCE = 10.0  # seconds for others who read or write; questions that take long come to an end within them
VERSION = 2

_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS names (id INTEGER PRIMARY KEY, kind TEXT, key TEXT, label TEXT, UNIQUE (kind, key));
CREATE TABLE IF NOT EXISTS gpus (
    tier INTEGER, time INTEGER, gpu INTEGER, utilization REAL, memory REAL, power REAL, temperature REAL, held REAL,
    PRIMARY KEY (tier, time, gpu)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS shares (
    tier INTEGER, time INTEGER, gpu INTEGER, user INTEGER, container INTEGER, env INTEGER,
    held REAL, used REAL, unknown REAL, joules REAL, memory REAL,
    user_held REAL, env_held REAL, gpu_held REAL, unmetered REAL,
    PRIMARY KEY (tier, time, gpu, user, container)) WITHOUT ROWID;
PRAGMA user_version = {VERSION};
COMMIT;
"""
# Five minutes are made of what is stored already, so nothing is lost when gpudock is restarted in between.
_ROLL_GPUS = """
INSERT OR REPLACE INTO gpus SELECT ?, ?, gpu, avg(utilization), avg(memory), avg(power), avg(temperature), sum(held)
FROM gpus WHERE tier = ? AND time >= ? AND time < ? GROUP BY gpu"""
_ROLL_SHARES = """
INSERT OR REPLACE INTO shares SELECT ?, ?, gpu, user, container, max(env),
    sum(held), sum(used), sum(unknown), sum(joules), avg(memory),
    sum(user_held), sum(env_held), sum(gpu_held), sum(unmetered)
FROM shares WHERE tier = ? AND time >= ? AND time < ? GROUP BY gpu, user, container"""
_INSERT_SHARE = "INSERT OR REPLACE INTO shares VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


class GpuRow(NamedTuple):
    time: int
    gpu: str
    label: str
    utilization: float | None
    memory: float | None
    power: float | None
    temperature: float | None
    held: float | None  # None: the driver does not tell who is on it


class ShareRow(NamedTuple):
    time: int
    gpu: str
    place: str  # label of the GPU
    user: str
    container: str
    label: str  # of the container
    env: str
    held: Held  # seconds, as the next two
    used: float
    unknown: float  # of held.container: nobody knows whether it was used
    joules: float
    unmetered: float  # of held.container: nobody knows with how much power
    memory: float | None


class Store:
    """Raises sqlite3.Error from everything but the constructor. One thread at a time."""

    def __init__(self, path: str) -> None:
        """Raises HostError. A file that is broken is set aside as PATH.broken."""
        self.path = path
        self._names: dict[tuple[str, str], int] = {}
        self._newest = self._steady = 0  # the last row's time, and since when the clock made no jump
        try:
            os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
            try:
                self._database = self._opened()
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
                os.replace(path, path + ".broken")
                self._database = self._opened()
        except (OSError, sqlite3.Error) as error:
            mend = "name another with --history, or do without: --no-history"
            raise HostError(f"The history {path} cannot be opened.", why=str(error), mend=mend) from error

    def _opened(self) -> sqlite3.Connection:
        database = sqlite3.connect(self.path, timeout=PATIENCE, check_same_thread=False, isolation_level=None)
        try:
            database.execute("PRAGMA journal_mode = TRUNCATE")
            database.execute("PRAGMA synchronous = NORMAL")
            if _version(database) == 0:
                database.executescript(_SCHEMA)
            database.execute(f"PRAGMA max_page_count = {LARGEST // _PAGE}")
        except BaseException:
            database.close()
            raise
        return database

    def close(self) -> None:
        self._database.close()

    def write(self, gpus: Iterable[GpuRow], shares: Iterable[ShareRow]) -> None:
        """Add the rows of finished periods, make five-minute rows of those that are complete, forget what is old.

        All of it or, on an error, nothing: what was there stays.
        """
        gpus, shares = tuple(gpus), tuple(shares)
        times = [row.time for row in gpus] + [row.time for row in shares]
        self._database.execute("BEGIN IMMEDIATE")
        try:
            if self._nearly_full():
                self._shrink()
            for row in gpus:
                values = (FINE, row.time, self._name("gpu", row.gpu, row.label), *row[3:])
                self._database.execute("INSERT OR REPLACE INTO gpus VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
            for each in shares:
                self._share(each)
            newest = max(times, default=0)
            self._roll(newest)
            self._forget(newest)
            self._database.execute("COMMIT")
        except BaseException:
            self._names.clear()
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise

    def _share(self, row: ShareRow) -> None:
        values = (
            FINE,
            row.time,
            self._name("gpu", row.gpu, row.place),
            self._name("user", row.user),
            self._name("container", row.container, row.label),
            self._name("env", row.env),
            *(row.held.container, row.used, row.unknown, row.joules, row.memory),
            *(row.held.user, row.held.env, row.held.gpu, row.unmetered),
        )
        self._database.execute(_INSERT_SHARE, values)

    def _name(self, kind: str, key: str, label: str = "") -> int:
        known = self._names.get((kind, f"{key}\0{label}"))
        if known is None:
            self._database.execute(
                "INSERT INTO names (kind, key, label) VALUES (?, ?, ?)"
                " ON CONFLICT (kind, key) DO UPDATE SET label = excluded.label",
                (kind, key, label),
            )
            found = self._database.execute("SELECT id FROM names WHERE kind = ? AND key = ?", (kind, key))
            known = int(found.fetchone()[0])
            self._names[kind, f"{key}\0{label}"] = known
        return known

    def _roll(self, newest: int) -> None:
        """Those that are complete, also from before a time in which gpudock did not run."""
        query = "SELECT max(time) FROM gpus WHERE tier = ? AND time < ?"  # not those of a clock that was ahead
        last = self._database.execute(query, (COARSE, newest)).fetchone()[0]
        edges = (COARSE, COARSE, FINE, (last or 0) + (COARSE if last else 0), newest // COARSE * COARSE)
        query = "SELECT DISTINCT time / ? * ? FROM gpus WHERE tier = ? AND time >= ? AND time < ? ORDER BY 1"
        for (begin,) in self._database.execute(query, edges).fetchall():
            span = (COARSE, begin, FINE, begin, begin + COARSE)
            self._database.execute(_ROLL_GPUS, span)
            self._database.execute(_ROLL_SHARES, span)

    def _forget(self, newest: int) -> None:
        """A clock that is far ahead at boot, or set by mistake, must not end a month: it is believed after hours."""
        if not 0 <= newest - self._newest <= JUMP:
            self._steady = newest
        self._newest = newest
        believed = newest - self._steady >= KEEP_FINE
        for table in ("gpus", "shares"):
            for tier, keep in ((FINE, KEEP_FINE), *(((COARSE, KEEP_COARSE),) if believed else ())):
                self._database.execute(f"DELETE FROM {table} WHERE tier = ? AND time < ?", (tier, newest - keep))  # noqa: S608

    def _nearly_full(self) -> bool:
        """Asked before room runs out: when SQLite says that it did, it may be the disk's, and for that one can wait."""
        pages, free = (self._database.execute(f"PRAGMA {of}").fetchone()[0] for of in ("page_count", "freelist_count"))
        return bool(pages - free > LARGEST // _PAGE * 7 // 8)

    def _shrink(self) -> None:
        """The oldest quarter goes, and the names that nothing speaks of any more."""
        for tier in (FINE, COARSE):
            # By the number of rows, because the time of some may be that of a clock that was far ahead.
            times = f"SELECT time FROM gpus WHERE tier = {tier} UNION ALL SELECT time FROM shares WHERE tier = {tier}"  # noqa: S608
            count = self._database.execute(f"SELECT count(*) FROM ({times})").fetchone()[0]  # noqa: S608
            query = f"{times} ORDER BY time LIMIT 1 OFFSET {count // 4}"
            for (first,) in self._database.execute(query).fetchall():
                for table in ("gpus", "shares"):  # both: what is said to be recorded has to be there
                    self._database.execute(f"DELETE FROM {table} WHERE tier = ? AND time < ?", (tier, first))  # noqa: S608
        self.forget_names()

    def forget_names(self) -> None:
        used = "SELECT gpu FROM gpus UNION SELECT gpu FROM shares UNION SELECT user FROM shares"
        used += " UNION SELECT container FROM shares UNION SELECT env FROM shares"
        self._database.execute(f"DELETE FROM names WHERE id NOT IN ({used})")  # noqa: S608
        self._names.clear()


def _version(database: sqlite3.Connection) -> int:
    """0: nothing was written yet. Raises sqlite3.OperationalError for that of another gpudock."""
    version = int(database.execute("PRAGMA user_version").fetchone()[0])
    if version not in {0, VERSION}:
        raise sqlite3.OperationalError(f"another gpudock wrote it: it is of version {version}, not {VERSION}")
    return version


def default_path(environment: Mapping[str, str]) -> str:
    """Where serve writes. Of root: /var/lib/gpudock/history.db; of others below their state folder."""
    if os.geteuid() == 0:
        return f"{paths(environment, uid=0).state}/history.db"
    state = environment.get("XDG_STATE_HOME") or os.path.join(environment.get("HOME") or "/", ".local/state")
    return f"{state}/gpudock/history.db"


def usual_path(environment: Mapping[str, str]) -> str:
    """Where usage reads: one's own, else what root's serve remembers of everybody."""
    own = default_path(environment)
    of_root = f"{paths({}, uid=0).state}/history.db"
    return of_root if not os.path.exists(own) and os.path.exists(of_root) else own
