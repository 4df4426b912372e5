"""What is remembered: rows, five minutes made of ten seconds, charts and usage, and a disk that is full or broken."""

import contextlib
import csv
import io
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
from msgspec.structs import replace

from gpudock.errors import HostError
from gpudock.facts.base import Missing
from gpudock.monitor import store, usage_text
from gpudock.monitor.history import Remembered
from gpudock.monitor.recorder import Recorder
from gpudock.monitor.sample import Container, Instance, Owner, Power, Process, Profiling, Utilization
from gpudock.monitor.shares import Held, shares
from gpudock.monitor.store import COARSE, FINE, GpuRow, ShareRow, Store
from gpudock.refresh.paths import ROOT
from unit.monitor import demo

T0 = int(demo.START)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "made/history.db")


@pytest.fixture
def stored(path: str) -> Iterator[Store]:
    made = Store(path)
    yield made
    made.close()


def gpu_row(at: int, load: float = 50.0, held: float = 10.0) -> GpuRow:
    return GpuRow(at, "GPU-0", "GPU 0", load, 1000.0, 400.0, 60.0, held)


def share_row(at: int, user: str = "alice", **changed: Any) -> ShareRow:
    """Of one of two who have the GPU, both in an environment of one name."""
    row = ShareRow(
        at, "GPU-0", "GPU 0", user, f"id-of-{user}", f"{user}s", "torch",
        held=Held(10.0, 10.0, 5.0, 5.0), used=5.0, unknown=0.0, joules=4000.0, unmetered=0.0, memory=900.0,
    )  # fmt: skip
    return row._replace(**changed)


def fill(stored: Store, periods: int, begin: int = T0) -> None:
    times = range(begin, begin + periods * FINE, FINE)
    shares = [row for at in times for row in (share_row(at), share_row(at, "bob", used=2.5))]
    stored.write([gpu_row(at) for at in times], shares)


def run(stored: Store, begin: int, hours: int) -> None:
    for hour in range(hours):
        stored.write([gpu_row(begin + hour * 3600)], [])


def rows(path: str, query: str) -> list[Any]:
    with sqlite3.connect(path) as database:
        return database.execute(query).fetchall()


def finish(recorder: Recorder) -> None:
    recorder.close()
    recorder._thread.join()


def test_five_minutes_are_made_of_ten_seconds_once_they_are_complete(stored: Store, path: str) -> None:
    fill(stored, 61)
    coarse = rows(path, f"SELECT time, utilization, held FROM gpus WHERE tier = {COARSE}")
    assert coarse == [(T0, 50.0, 300.0), (T0 + 300, 50.0, 300.0)]
    shares = rows(
        path, f"SELECT time, held, used, joules, memory FROM shares WHERE tier = {COARSE} ORDER BY time, used DESC"
    )
    assert shares[0] == (T0, 300.0, 150.0, 120_000.0, 900.0)
    assert len(shares) == 4


def test_a_restart_in_between_loses_nothing(path: str) -> None:
    for begin in (0, 12):
        made = Store(path)
        fill(made, 12 if begin == 0 else 30, T0 + begin * FINE)
        made.close()
    assert rows(path, f"SELECT time, held FROM gpus WHERE tier = {COARSE}") == [(T0, 300.0)]


def test_what_is_old_is_forgotten(stored: Store, path: str) -> None:
    fill(stored, 2)
    later = T0 + store.KEEP_FINE + 100 * FINE
    stored.write([gpu_row(later)], [])
    assert rows(path, f"SELECT min(time) FROM gpus WHERE tier = {FINE}") == [(later,)]
    run(stored, T0 + store.KEEP_COARSE + 1000, hours=7)
    assert rows(path, "SELECT count(*) FROM shares") == [(0,)]
    stored.forget_names()
    assert rows(path, "SELECT DISTINCT kind FROM names") == [("gpu",)]


def test_a_clock_that_is_far_ahead_makes_nothing_be_forgotten(stored: Store, path: str) -> None:
    fill(stored, 61)
    for boot in (1, 2):  # each time until it is set
        run(stored, T0 + boot * 10 * 365 * 86400, hours=5)
        run(stored, T0 + boot * 7200, hours=2)
    assert [row.held for row in Remembered(path).usage("user", T0, T0 + 3600).rows] == [610.0, 610.0]


@pytest.mark.parametrize("seconds", [240, 310])  # before five minutes are made of it, and after
def test_a_gpu_that_one_has_twice_is_held_once(seconds: int, path: str) -> None:
    """Two containers of alice, then one of bob who has the same environment; and the other way round."""
    gpu = demo.gpu(1, 0)
    inside = [
        demo.process(1, 1, 1, 50, owner=demo.ALICE, container=demo.JUPYTER),
        demo.process(2, 1, 1, 25, owner=demo.ALICE, container=demo.TRAINING),
        demo.process(3, 1, 1, 25, owner=demo.BOB, container=demo.OTHER),
    ]
    held = [replace(each, environment="torch") for each in demo.containers(0)]
    recorder = Recorder(Store(path))
    for tick in range(seconds + 1):
        there = inside[:2] if tick <= 120 else inside[2:]
        recorder.listen(demo.sample(tick, gpus=(gpu,), processes=tuple(there), containers=tuple(held)))
    finish(recorder)
    told = Remembered(path)

    def of(by: Any) -> dict[str, tuple[Any, Any, Any]]:
        return {row.label: (row.held, row.used, row.energy) for row in told.usage(by, T0 - 1, T0 + 3600).rows}

    watts, later = 621.5, seconds - 120
    alice, bob = (120.0, pytest.approx(120 * 0.75, 0.01), pytest.approx(120 * watts)), (later, ANY, ANY)
    assert of("user") == {"alice": alice, "bob": bob}
    assert of("container") == {
        "alice-jupyter": (120.0, pytest.approx(120 * 0.5), ANY), "training": (120.0, ANY, ANY), demo.OTHER[:12]: bob,
    }  # fmt: skip
    everything = (float(seconds), ANY, pytest.approx(seconds * watts))
    assert of("env") == {"torch": everything}
    assert of("gpu") == {"GPU 1": everything}
    assert list(of("day").values()) == [everything]
    chart = told.chart("held", "user", T0, T0 + 240)
    assert [(each.key, each.values) for each in chart.series] == [
        ("alice", (1.0,) * 12 + (None,) * 12), ("bob", (None,) * 12 + (1.0,) * 12),
    ]  # fmt: skip


def test_a_clock_that_was_ahead_hides_nothing_of_what_comes_after(stored: Store, path: str) -> None:
    fill(stored, 35, T0 + 20 * 86400)  # until the clock was set
    fill(stored, 35)
    assert rows(path, f"SELECT min(time) FROM gpus WHERE tier = {COARSE}") == [(T0,)]
    told = Remembered(path)
    (alice, _) = told.usage("user", T0, T0 + 3600).rows
    assert alice.held == 350.0
    chart = told.chart("held", "gpu", T0, T0 + 350)
    assert chart.step == FINE
    assert chart.series[0].values == (1.0,) * 35


def test_a_clock_that_is_set_back_stops_no_writing(path: str) -> None:
    recorder = Recorder(Store(path))
    for seconds in (7200, 7201, 7202, 0, 1, 2):
        recorder.listen(demo.sample(seconds))
    finish(recorder)
    assert rows(path, "SELECT time, held FROM gpus WHERE held > 0 ORDER BY time, gpu")[0] == (T0, 2.0)


def test_usage_adds_up_both_tiers_without_counting_twice(stored: Store, path: str) -> None:
    fill(stored, 35)  # five minutes and a bit
    usage = Remembered(path).usage("user", T0 - 1, T0 + 10_000)
    alice, bob = usage.rows
    assert (alice.key, alice.held, alice.used, alice.energy, alice.gpus) == ("alice", 350.0, 175.0, 140_000.0, 1)
    assert (bob.used, bob.first, bob.last) == (87.5, T0, T0 + 350)
    assert usage.recorded_since == T0
    by_container = Remembered(path).usage("container", T0 - 1, T0 + 10_000).rows
    assert [(row.key, row.label) for row in by_container] == [("id-of-alice", "alices"), ("id-of-bob", "bobs")]
    assert [row.label for row in Remembered(path).usage("gpu", T0 - 1, T0 + 10_000).rows] == ["GPU 0"]
    assert [row.held for row in Remembered(path).usage("env", T0 - 1, T0 + 10_000).rows] == [350.0]


def test_usage_tells_nothing_of_before_it_was_recorded_and_of_the_future(stored: Store, path: str) -> None:
    fill(stored, 35, T0 + 100)  # within a period of five minutes, and into the next one
    usage = Remembered(path).usage("user", T0, T0 + 444)
    assert usage.recorded_since == T0 + 100
    assert {row.last for row in usage.rows} == {T0 + 444}


def test_usage_by_day_is_in_order(stored: Store, path: str) -> None:
    for day in range(3):
        stored.write([gpu_row(T0 + day * 86400 + 43200)], [share_row(T0 + day * 86400 + 43200)])
    days = [row.key for row in Remembered(path).usage("day", T0, T0 + 4 * 86400).rows]
    assert days == sorted(days)
    assert len(days) == 3


def test_what_was_not_measured_is_unknown(stored: Store, path: str) -> None:
    stored.write([gpu_row(T0)], [share_row(T0, unknown=10.0, used=0.0), share_row(T0, "bob", unknown=0.05)])
    alice, bob = Remembered(path).usage("user", T0, T0 + 60).rows
    assert isinstance(alice.used, Missing)
    assert bob.used == 5.0
    (values,) = [
        each.values for each in Remembered(path).chart("utilization", "user", T0, T0 + 10).series if each.key == "alice"
    ]
    assert values == (None,)


def test_a_tenth_that_was_not_measured_is_unknown_by_whatever_it_is_added_up(path: str) -> None:
    recorder = Recorder(Store(path))
    for tick in range(100):
        of_bob = next(each for each in demo.sample(tick).processes if each.pid == 5151)
        use = Utilization(gpu=Missing("not told") if tick % 10 == 0 else 20)
        several = tuple(replace(of_bob, pid=pid, container=f"{pid}", utilization=use) for pid in range(20))
        gpu = demo.gpu(1, tick)
        recorder.listen(demo.sample(tick, gpus=(gpu,), processes=several, containers=(), people=()))
    finish(recorder)
    told = Remembered(path)
    for by in ("user", "container", "gpu", "day"):
        found = told.usage(by, T0, T0 + 3600).rows
        assert found
        assert all(isinstance(row.used, Missing) for row in found), by


@pytest.mark.parametrize(
    ("metric", "subject", "value"),
    [
        ("utilization", "gpu", 50.0), ("memory", "gpu", 1000.0), ("power", "gpu", 400.0), ("temperature", "gpu", 60.0),
        ("held", "gpu", 1.0), ("utilization", "user", 50.0), ("memory", "user", 900.0), ("held", "user", 1.0),
        ("held", "env", 1.0), ("memory", "env", 1800.0), ("utilization", "env", 75.0),
    ],
)  # fmt: skip
def test_charts(metric: Any, subject: Any, value: float, stored: Store, path: str) -> None:
    fill(stored, 120)
    chart = Remembered(path).chart(metric, subject, T0, T0 + 1200, points=60)
    assert (chart.step, len(chart.times)) == (20.0, 60)
    assert chart.series[0].values[5] == pytest.approx(value)
    assert chart.times[5] == T0 + 100


def test_gaps_are_gaps_and_long_spans_use_five_minutes(stored: Store, path: str) -> None:
    fill(stored, 31)
    fill(stored, 31, T0 + 9000)
    chart = Remembered(path).chart("utilization", "gpu", T0, T0 + 86400 * 2, points=1000)
    assert chart.step == 300.0
    values = chart.series[0].values
    assert values[0] == 50.0
    assert values[5] is None
    assert values[30] == 50.0


def test_the_busiest_twenty_series(stored: Store, path: str) -> None:
    stored.write([gpu_row(T0)], [share_row(T0, f"u{index:02}", memory=float(index)) for index in range(30)])
    chart = Remembered(path).chart("memory", "user", T0, T0 + 10)
    assert [each.key for each in chart.series] == [f"u{index:02}" for index in range(29, 9, -1)]
    assert Remembered(path).chart("power", "user", T0, T0 + 10).series == ()


def test_nothing_is_remembered_yet(path: str) -> None:
    assert Remembered(path).usage("user", 0.0, 1.0).recorded_since is None
    assert Remembered(path).chart("power", "gpu", T0, T0 + 60).series == ()


def test_a_broken_file_is_set_aside_and_said_by_who_reads_it(path: str, tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    Path(path).write_bytes(b"not a database at all" * 100)
    with pytest.raises(HostError, match="cannot be read"):
        Remembered(path).usage("user", 0.0, 1.0)
    Store(path).close()
    assert Path(path + ".broken").read_bytes().startswith(b"not a database")
    assert Remembered(path).usage("user", 0.0, 1.0).rows == ()


@pytest.mark.parametrize("version", [1, 99])
def test_a_file_of_another_gpudock_is_left_alone(path: str, version: int) -> None:
    Store(path).close()
    rows(path, f"PRAGMA user_version = {version}")
    before = Path(path).read_bytes()
    why = f"another gpudock wrote it: it is of version {version}, not 2"
    for ask in (lambda: Store(path), lambda: Remembered(path).usage("user", T0, T0 + 60)):
        with pytest.raises(HostError) as error:
            ask()
        assert error.value.why == why
    assert Path(path).read_bytes() == before


def test_what_one_may_not_read_is_not_said_to_be_empty(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HostError, match="cannot be read"):  # root may look into every folder, but into no file
        Remembered(str(tmp_path / "file/history.db")).usage("user", T0, T0 + 60)


def test_usage_reads_ones_own_history_else_that_of_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    of_root, own = tmp_path / "root/history.db", tmp_path / "gpudock/history.db"
    monkeypatch.setattr(store, "paths", lambda *_, **__: ROOT._replace(state=str(of_root.parent)))
    environment = {"XDG_STATE_HOME": str(tmp_path)}
    assert store.usual_path(environment) == str(own)  # nobody has one
    for made in (of_root, own):
        made.parent.mkdir()
        made.touch()
        assert store.usual_path(environment) == str(made)


def test_the_history_of_root_lies_where_its_state_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert store.default_path({"GPUDOCK_STATE_DIR": "/data/gpudock"}) == "/data/gpudock/history.db"


def test_a_folder_that_cannot_be_had(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError) as error:
        Store(str(tmp_path / "file/history.db"))
    assert "--no-history" in error.value.mend


def until(condition: Any) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_samples_become_rows(path: str) -> None:
    recorder = Recorder(Store(path))
    for tick in range(31):
        recorder.listen(demo.sample(tick))
    finish(recorder)
    gpus = rows(
        path, "SELECT names.label, sum(held), avg(temperature) FROM gpus JOIN names ON names.id = gpu GROUP BY gpu"
    )
    assert [(name, held) for name, held, _ in gpus] == [
        ("GPU 0", 30.0),
        ("GPU 1", 30.0),
        ("GPU 2", 22.5),  # three of the four slices into which it is divided
        ("GPU 3", 0.0),
    ]
    told = Remembered(path).chart("utilization", "gpu", T0, T0 + 30)
    assert all(value is not None for series in told.series for value in series.values)
    usage = Remembered(path).usage("user", T0, T0 + 60)
    bob = next(row for row in usage.rows if row.key == "bob")
    assert bob.held == 30.0
    assert bob.used == pytest.approx(29.1)
    assert [row.label for row in Remembered(path).usage("env", T0, T0 + 60).rows] == ["torch"]


@pytest.mark.parametrize("interval", [0.5, 7.0, 10.01, 60.0, 600.0])
def test_a_sample_stands_for_the_time_before_it_whatever_the_interval_is(interval: float, path: str) -> None:
    recorder = Recorder(Store(path))
    count = int(600 / interval)
    for tick in range(count + 1):
        sample = demo.sample(0, interval=interval)
        recorder.listen(replace(sample, time=demo.START + tick * interval))
    finish(recorder)
    told, end = Remembered(path), int(T0 + count * interval) // 10 * 10
    for metric, most in (("utilization", 97.0), ("held", 1.0)):
        charts = told.chart(metric, "user", T0, end, points=60)  # type: ignore[arg-type]
        (values,) = (each.values for each in charts.series if each.key == "bob")
        assert values == pytest.approx((most,) * len(charts.times))
    (bob,) = (row for row in told.usage("user", T0, T0 + 2000).rows if row.key == "bob")
    assert bob.held == pytest.approx(count * interval, abs=0.2)


def test_power_that_is_not_told_is_no_energy_of_nothing(path: str) -> None:
    recorder = Recorder(Store(path))
    for tick in range(320):
        sample = demo.sample(tick)
        silent = replace(sample.gpus[0], power=Power())  # type: ignore[index]
        recorder.listen(replace(sample, gpus=(silent, *sample.gpus[1:])))  # type: ignore[index]
    finish(recorder)
    told = Remembered(path)
    usage = told.usage("user", T0, T0 + 3600)
    energy = {row.key: row.energy for row in usage.rows}
    assert energy["alice"] == Missing("the driver does not tell the power")
    assert energy["bob"] == pytest.approx(319 * 621.5, abs=1)
    line = next(line for line in usage_text.table(usage).splitlines() if line.startswith("alice"))
    assert line.split().count("?") == 1
    assert ",,1," in next(line for line in usage_text.csv(usage).splitlines() if line.startswith("alice"))
    assert isinstance(told.usage("day", T0, T0 + 3600).rows[0].energy, Missing)


def test_a_full_disk_is_said_and_what_was_missed_is_written_later(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpudock.monitor.recorder.AGAIN", 0.05)
    stored = Store(path)
    write, full = stored.write, [True]

    def writing(*given: Any) -> None:
        if full[0]:
            raise sqlite3.OperationalError("database or disk is full")
        write(*given)

    monkeypatch.setattr(stored, "write", writing)
    recorder = Recorder(stored)
    for tick in range(25):
        recorder.listen(demo.sample(tick))
    until(lambda: "disk is full" in recorder.problem)
    full[0] = False
    until(lambda: recorder.problem == "")
    finish(recorder)
    assert rows(path, "SELECT count(DISTINCT time) FROM gpus") == [(3,)]


@contextlib.contextmanager
def reading(path: str) -> Iterator[None]:
    """Somebody reads slowly."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)) as database:
        database.execute("BEGIN")
        database.execute("SELECT * FROM names").fetchone()
        yield


def test_whoever_reads_for_long_delays_what_is_written_and_makes_nothing_be_forgotten(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpudock.monitor.recorder.AGAIN", 0.01)
    monkeypatch.setattr(store, "PATIENCE", 0.02)
    stored = Store(path)
    fill(stored, 300)
    before = rows(path, "SELECT tier, count(*) FROM gpus GROUP BY tier")
    tried: list[int] = []
    write = stored.write

    def writing(*given: Any) -> None:
        tried.append(len(recorder._waiting))
        write(*given)

    monkeypatch.setattr(stored, "write", writing)
    recorder = Recorder(stored)
    with reading(path):
        for tick in range(3000, 3031):
            recorder.listen(demo.sample(tick))
        until(lambda: len(tried) > 5)
        assert recorder.problem == ""  # it may well last a while
        for tick in range(3031, 3091):
            recorder.listen(demo.sample(tick))
        until(lambda: "locked" in recorder.problem)
    until(lambda: not recorder._waiting)
    assert recorder.problem == ""
    assert before == [(10, 300), (300, 9)]
    assert rows(path, "SELECT tier, count(*) FROM gpus WHERE gpu = 1 GROUP BY tier") == [(10, 300), (300, 10)]
    assert rows(path, f"SELECT count(DISTINCT time) FROM gpus WHERE time >= {T0 + 3000} AND tier = 10") == [(8,)]
    finish(recorder)


def test_a_disk_without_room_makes_nothing_be_forgotten(stored: Store, path: str) -> None:
    fill(stored, 100)
    before = rows(path, "SELECT * FROM shares")
    stored._database.execute("PRAGMA max_page_count = 1")  # no more than there are: SQLite's answer is that of a disk
    with pytest.raises(sqlite3.OperationalError, match="full") as error:
        fill(stored, 1000, T0 + 1000)
    assert error.value.sqlite_errorcode == sqlite3.SQLITE_FULL
    assert rows(path, "SELECT * FROM shares") == before


def test_the_oldest_quarter_makes_room_whatever_the_clock_said(
    stored: Store, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored.write([gpu_row(T0 + 10 * 365 * 86400)], [])  # of a clock that was ahead
    fill(stored, 399)
    monkeypatch.setattr(store, "LARGEST", 1 << 14)
    stored.write([gpu_row(T0 + 3990)], [])
    assert rows(path, "SELECT count(*), min(time) FROM gpus WHERE tier = 10") == [(302, T0 + 990)]
    assert rows(path, "SELECT count(*), min(time) FROM shares WHERE tier = 10 AND user = 2") == [(300, T0 + 990)]


def test_what_makes_room_is_undone_when_nothing_can_be_written(
    stored: Store, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(stored, 100)
    before = rows(path, "SELECT * FROM shares"), rows(path, "SELECT * FROM names")
    monkeypatch.setattr(store, "LARGEST", 1 << 12)
    monkeypatch.setattr(stored, "_forget", lambda _: stored._database.execute("SELECT * FROM nowhere"))
    with pytest.raises(sqlite3.OperationalError):
        fill(stored, 1, T0 + 1000)
    assert (rows(path, "SELECT * FROM shares"), rows(path, "SELECT * FROM names")) == before


def test_a_file_that_somebody_reads_is_opened_all_the_same(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "PATIENCE", 0.02)
    Store(path).close()
    with reading(path):
        Store(path).close()


def test_the_file_stays_within_its_size(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "LARGEST", 64 << 12)  # sixty-four pages
    recorder = Recorder(Store(path))
    people = [
        replace(demo.sample().processes[0], pid=index, container="", owner=Owner(name=f"user-{index}"))
        for index in range(60)
    ]
    for tick in range(0, 1200, 10):
        recorder.listen(demo.sample(tick, interval=10.0, processes=tuple(people)))
    finish(recorder)
    assert recorder.problem == ""
    assert Path(path).stat().st_size <= 64 << 12
    newest = rows(path, "SELECT max(time) FROM shares")[0][0]
    assert newest >= T0 + 1100


def test_the_disk_never_makes_the_collector_wait(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = Store(path)
    going_on = threading.Event()
    monkeypatch.setattr(stored, "write", lambda *_: going_on.wait(30))
    recorder = Recorder(stored)
    sample = demo.sample(processes=(), containers=(), people=())
    for tick in range(400):
        recorder.listen(replace(sample, time=demo.START + 10 * tick, interval=10.0))
    assert len(recorder._waiting) == 360  # an hour; what is older is given up
    assert not going_on.is_set()
    going_on.set()
    finish(recorder)


def test_usage_as_table_and_csv() -> None:
    usage = demo.DemoHistory().usage("user", demo.START, demo.START + 86400)
    evil = replace(usage.rows[0], key="=cmd()\x1b", label="=cmd()\x1b")
    unknown = replace(usage.rows[1], used=Missing("MIG"))
    table = usage_text.table(replace(usage, rows=(evil, unknown)))
    lines = [" ".join(line.split()) for line in table.splitlines()]
    assert lines[2] == "USER HELD USED OF HELD ENERGY GPUS LAST"
    assert lines[3].startswith("=cmd()? 10.0 h 9.7 h 97 % 4.86 kWh 1")
    assert "alice 5.0 h ? ?" in lines[4]
    text = usage_text.csv(replace(usage, rows=(evil, unknown)))
    first, second = list(csv.DictReader(io.StringIO(text)))
    assert first["user"] == "'=cmd()?"
    assert (second["used_seconds"], second["held_seconds"]) == ("", "18000.0")
    long = replace(unknown, label="a" * 50)
    assert max(map(len, usage_text.table(replace(usage, rows=(long,)), 80).splitlines())) == 80
    assert "a" * 50 in usage_text.table(replace(usage, rows=(long,)))
    assert "Nobody had a GPU." in usage_text.table(replace(usage, rows=()))
    assert "No container had a GPU." in usage_text.table(replace(usage, by="container", rows=()))
    short = replace(evil, held=50.0, used=0.0, energy=4000.0)
    assert " 50 s 0 s 0 % 1.1 Wh 1" in " ".join(usage_text.table(replace(usage, rows=(short,))).split())


def test_what_nobody_tells_is_not_guessed_and_power_goes_to_all_alike() -> None:
    sample = demo.sample()
    untold = Missing("not supported")
    gpu = replace(sample.gpus[0], utilization=Utilization(gpu=untold))  # type: ignore[index]
    processes = tuple(
        replace(each, utilization=Utilization(gpu=untold), owner=owner)
        for each, owner in zip(sample.processes[:2], (demo.ALICE, demo.BOB), strict=True)
    )
    found = shares(replace(sample, gpus=(gpu,), processes=processes))
    assert [(each.user, each.used) for each in found] == [("alice", None), ("bob", None)]
    assert [each.watts for each in found] == [demo.gpu(0, 0).power.draw / 2] * 2  # type: ignore[operator]


def test_a_display_server_holds_nothing_and_pays_nothing(path: str) -> None:
    gpu = demo.gpu(1, 0)
    xorg = replace(demo.process(9, 1, 1, 0, owner=Owner(name="root", uid=0)), kind="G")
    idle = demo.process(10, 1, 1, 0, owner=demo.BOB)
    drawing = replace(xorg, container=demo.JUPYTER, owner=demo.ALICE)
    assert shares(demo.sample(gpus=(gpu,), processes=(xorg,))) == []
    (share,) = shares(demo.sample(gpus=(gpu,), processes=(xorg, idle)))
    assert (share.user, share.watts) == ("bob", gpu.power.draw)
    assert [each.user for each in shares(demo.sample(gpus=(gpu,), processes=(xorg, drawing)))] == ["alice"]
    recorder = Recorder(Store(path))
    for tick in range(11):
        recorder.listen(demo.sample(tick, processes=(xorg,)))
    finish(recorder)
    assert rows(path, "SELECT sum(held) FROM gpus") == [(0.0,)]
    assert Remembered(path).usage("user", T0, T0 + 60).rows == ()


def test_a_gpu_of_which_nobody_tells_who_is_on_it_was_not_free(path: str) -> None:
    gpu = replace(demo.gpu(1, 0), untold=Missing("Not Supported"))
    recorder = Recorder(Store(path))
    for tick in range(331):
        there = (demo.process(1, 1, 1, 0, owner=demo.BOB),) if tick > 320 else ()
        recorder.listen(demo.sample(tick, gpus=(gpu,), processes=there))
    finish(recorder)
    told = Remembered(path)
    (series,) = told.chart("held", "gpu", T0 + 290, T0 + 330).series
    assert series.values == (None, None, None, 1.0)
    assert rows(path, f"SELECT held FROM gpus WHERE tier = {COARSE}") == [(None,)]
    assert [(row.key, row.held) for row in told.usage("user", T0, T0 + 400).rows] == [("bob", 10.0)]


def divided(*profiles: str, busy: float | Missing = 1.0) -> Any:
    """A GPU of such instances, with 400 W."""
    instances = tuple(
        Instance(index=index, gi=index, ci=0, uuid=f"MIG-{index}", profile=profile, profiling=Profiling(graphics=busy))
        for index, profile in enumerate(profiles)
    )
    gpu = replace(demo.gpu(2, 0), utilization=Utilization(gpu=Missing("MIG")), instances=instances)
    return replace(gpu, power=replace(gpu.power, draw=400.0))


def shared(gpu: Any, *where: tuple[str, str, int | None]) -> Any:
    """Shares of processes: whose, in which container, on which instance."""
    processes = tuple(
        Process(
            pid=pid, gpu=gpu.uuid, gi=gi, container=container, owner=Owner(name=user),
            utilization=Utilization(gpu=Missing("MIG")),
        )
        for pid, (user, container, gi) in enumerate(where)
    )  # fmt: skip
    containers = tuple(Container(id=each, environment="torch") for each in {each for _, each, _ in where if each})
    return shares(demo.sample(gpus=(gpu,), processes=processes, containers=containers))


def test_an_instance_counts_by_its_slices() -> None:
    small, large = shared(divided("1g.18gb", "3g.71gb"), ("alice", "", 0), ("bob", "", 1))
    assert (small.held, small.used, small.watts) == (Held(0.25, 0.25, 0.25, 0.25), 0.25, 100.0)
    assert (large.held, large.used, large.watts) == (Held(0.75, 0.75, 0.75, 0.75), 0.75, 300.0)
    idle = shared(divided("1g.18gb", "3g.71gb", busy=0.0), ("alice", "", 0), ("bob", "", 1))
    assert [(each.used, each.watts) for each in idle] == [(0.0, 100.0), (0.0, 300.0)]
    seven = shared(divided(*["1g.18gb"] * 7), *((f"user-{gi}", "", gi) for gi in range(7)))
    assert sum(each.held.user for each in seven) == pytest.approx(1.0)
    assert sum(each.used for each in seven) == pytest.approx(1.0)


def test_what_several_hold_of_instances_counts_once_for_each_way_of_adding_up() -> None:
    gpu = divided("1g.18gb", "3g.71gb")
    found = shared(gpu, ("alice", "a", 0), ("alice", "b", 0), ("bob", "c", 1), ("bob", "", 0), ("carol", "c", 1))

    def held(by: str) -> dict[str, float]:
        total: dict[str, float] = {}
        for each in found:
            total[getattr(each, by)] = total.get(getattr(each, by), 0.0) + getattr(each.held, by)
        return total

    assert held("user") == pytest.approx({"alice": 0.25, "bob": 1.0, "carol": 0.75})
    assert held("container") == pytest.approx({"a": 0.25, "b": 0.25, "c": 0.75, "": 0.25})
    assert held("env") == pytest.approx({"torch": 1.0, "": 0.25})
    assert held("gpu") == pytest.approx({gpu.uuid: 1.0})


def test_who_is_alone_on_a_mig_instance_used_what_it_counts() -> None:
    gpu = divided("1g.18gb", "3g.71gb")
    gpu = replace(gpu, instances=(gpu.instances[0], replace(gpu.instances[1], profiling=Profiling(graphics=0.2))))

    def used(*where: tuple[str, str, int | None]) -> list[float | None]:
        return [each.used for each in shared(gpu, *where)]

    assert used(("alice", "", 0), ("bob", "", 1)) == pytest.approx([0.25, 0.15])
    assert used(("alice", "", 0), ("alice", "", 1)) == pytest.approx([0.4])
    assert used(("alice", "", 0), ("bob", "", 0)) == [None, None]
    assert used(("alice", "", None)) == pytest.approx([0.4])  # alone, wherever that is
    assert used(("alice", "", None), ("bob", "", 1)) == [None, None]
    assert shared(divided("1g.18gb", busy=Missing("no")), ("alice", "", 0))[0].used is None
