"""What bench/ says of its figures: which limits hold, and what stays of an earlier run."""

import importlib
import json
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("bench.limits")


@pytest.fixture
def monitor(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("bench.monitor")


def test_a_limit_that_is_broken_is_said_and_fails_only_where_it_is_checked(
    limits: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    found = limits.judged({"cpu": 2.0, "scrape": 12.5, "other": 99.0}, {"cpu": 2.0, "scrape": 10.0})
    assert found["scrape"] == {"most": 10.0, "is": 12.5, "holds": False}
    assert limits.code(found, check=False) == 0
    assert capsys.readouterr().out.splitlines() == [
        "holds: cpu: 2.0, at most 2.0",
        "BROKEN: scrape: 12.5, at most 10.0",
    ]
    assert limits.code(found, check=True) == 1
    assert limits.code(limits.judged({"cpu": 1.0}, {"cpu": 2.0}), check=True) == 0


def test_figures_of_others_stay_until_they_are_measured_again(monitor: ModuleType) -> None:
    assert monitor.kept('{"date": "2026-12-24", "peers": {"date": "2026-11-30", "gpustat": {"ms": 1500.0}}}') == {
        "date": "2026-11-30",
        "gpustat": {"ms": 1500.0},
    }
    assert monitor.kept("") == {}


def test_the_stored_figures_have_their_day_and_say_whether_each_limit_holds(monitor: ModuleType) -> None:
    results = json.loads((ROOT / "bench/results/monitor.json").read_text())
    assert results["limits"].keys() == monitor.MOST.keys()
    for name in (results, results["peers"]):
        assert len(name["date"]) == len("2026-11-30")
    assert all(results["peers"][name]["version"] for name in ("gpustat", "nvitop-exporter"))
