"""`gpudock usage`, `status` and `serve`: what they refuse, and what usage prints."""

import csv
import io
import json
import time
from pathlib import Path

import pytest

from gpudock.cli import status, usage
from gpudock.errors import HostError, UsageError
from gpudock.monitor.shares import Held
from gpudock.monitor.store import GpuRow, ShareRow, Store
from unit.cli.invoked import invoked


@pytest.mark.parametrize(("text", "seconds"), [("90m", 5400.0), ("12h", 43200.0), ("7d", 604800.0), ("4w", 2419200.0)])
def test_spans(text: str, seconds: float) -> None:
    assert usage.span(text) == seconds


@pytest.mark.parametrize("text", ["", "7", "d", "-1d", "0h", "1.5h", "401d", "99999999999999w", "7 d"])
def test_what_is_no_span(text: str) -> None:
    with pytest.raises(UsageError):
        usage.span(text)


@pytest.mark.parametrize("text", ["0", "0.4", "x", "nan", "inf", "601"])
def test_what_is_no_interval(text: str) -> None:
    with pytest.raises(UsageError):
        status.interval_of(text)


def test_without_a_history_it_says_how_to_get_one(tmp_path: Path) -> None:
    found = invoked("usage", "--history", str(tmp_path / "nothing.db"))
    assert isinstance(found.exception, HostError)
    assert "gpudock serve" in found.exception.mend


def test_usage_as_table_csv_and_json(tmp_path: Path) -> None:
    path, now = str(tmp_path / "history.db"), int(time.time()) // 10 * 10 - 100
    made = Store(path)
    held = Held(10.0, 10.0, 10.0, 10.0)
    share = ShareRow(now, "GPU-0", "GPU 0", "alice", "id", "jupyter", "torch", held, 5.0, 0.0, 3.6e6, 0.0, 900.0)
    made.write([GpuRow(now, "GPU-0", "GPU 0", 50.0, 1.0, 1.0, 1.0, 10.0)], [share])
    made.close()
    table = invoked("usage", "--history", path, "--since", "1h")
    assert [line.split()[0] for line in table.stdout.splitlines()[2:]] == ["USER", "alice"]
    assert "1.00 kWh" in table.stdout
    (row,) = csv.DictReader(io.StringIO(invoked("usage", "--history", path, "--csv", "--by", "container").stdout))
    assert (row["name"], row["held_seconds"], row["used_seconds"]) == ("jupyter", "10.0", "5.0")
    told = json.loads(invoked("usage", "--history", path, "--json", "--by", "env").stdout)
    assert told["rows"][0]["key"] == "torch"
