"""A build as it is shown: text of images never reaches a terminal raw."""

import json

import pytest

from gpudock.cli.env_progress import reporter

SAID = """STEP 1/3: FROM tiny
STEP 2/3: RUN true
--> Using cache 1
STEP 3/3: RUN false
all went [/bold] \x1b[31mwrong"""


def shown(progress: str, capsys: pytest.CaptureFixture[str], code: int = 1) -> str:
    told = reporter(progress, {})
    for line in SAID.splitlines():
        told.heard(line)
    told.finished(code)
    found = capsys.readouterr()
    assert found.out == ""
    return found.err


@pytest.mark.parametrize("progress", ["auto", "tty", "plain", "json"])
def test_times_cache_and_failure(progress: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = shown(progress, capsys)
    assert "\x1b[31m" not in said
    assert "cached" in said
    assert "failed" in said
    assert "all went [/bold]" in said


def test_elsewhere_it_is_a_line_a_step(capsys: pytest.CaptureFixture[str]) -> None:
    assert [line.split()[:2] for line in shown("auto", capsys, 0).splitlines()][1:] == [
        ["[2/3]", "cached"],
        ["[3/3]", "0.0"],
    ]


def test_json_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    events = [json.loads(line) for line in shown("json", capsys).splitlines()]
    assert [each["state"] for each in events] == [
        *("started", "done", "started", "cached", "started", "failed", "said"),
    ]
