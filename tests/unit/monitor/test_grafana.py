"""Dashboards and alert rules: they ask for what is exported, and are written whole."""

import json
import re
from pathlib import Path

import pytest
import yaml

from gpudock.cli import main
from gpudock.monitor import grafana, metrics_own, metrics_people

EXPORTED = {family.name for family in (*metrics_own.FAMILIES, *metrics_people.FAMILIES)}
BOARDS = grafana.NAMES[:2]
ALERTS = Path(__file__).parents[2] / "data/monitor/alerts_test.yml"


@pytest.mark.parametrize("name", grafana.NAMES)
def test_only_what_is_exported_is_asked_for(name: str) -> None:
    asked = set(re.findall(r"\bgpudock_\w+", grafana.files()[name].decode()))
    assert len(asked) > 5
    assert asked - EXPORTED == set()


@pytest.mark.parametrize("name", BOARDS)
def test_dashboards_fit_any_grafana(name: str) -> None:
    board = json.loads(grafana.files()[name])
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    assert "id" not in board
    for panel in board["panels"]:
        where = panel["gridPos"]
        assert where["x"] + where["w"] <= 24
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}
        assert all("$instance" in target["expr"] for target in panel["targets"])


def test_panels_lie_beside_and_not_over_each_other() -> None:
    for name in BOARDS:
        taken: set[tuple[int, int]] = set()
        for panel in json.loads(grafana.files()[name])["panels"]:
            x, y, w, h = (panel["gridPos"][each] for each in ("x", "y", "w", "h"))
            cells = {(column, row) for column in range(x, x + w) for row in range(y, y + h)}
            assert not cells & taken
            taken |= cells


def test_every_alert_says_what_it_is_and_what_to_do() -> None:
    rules = yaml.safe_load(grafana.files()["gpudock-alerts.yml"])["groups"][0]["rules"]
    for rule in rules:
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert {"summary", "description"} == set(rule["annotations"])
        assert "$labels.instance" in rule["annotations"]["summary"]


def test_every_alert_is_tried_when_it_fires_and_when_not() -> None:
    """tests/real/test_dashboards.py gives this file to promtool."""
    rules = yaml.safe_load(grafana.files()["gpudock-alerts.yml"])["groups"][0]["rules"]
    tried = [each for test in yaml.safe_load(ALERTS.read_text())["tests"] for each in test["alert_rule_test"]]
    every = {rule["alert"] for rule in rules}
    assert {each["alertname"] for each in tried if each.get("exp_alerts")} == every
    assert {each["alertname"] for each in tried if not each.get("exp_alerts")} == every


def test_they_are_written_where_one_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "made"
    main.called(["serve", "--dashboards", str(folder)])
    assert {each.name: each.read_bytes() for each in folder.iterdir()} == grafana.files()
    assert capsys.readouterr().out.splitlines() == [str(folder / name) for name in grafana.NAMES]
