"""docs/from-the-notes.md and docs/comparison.md promise a test for each of their rows."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_every_row_names_tests_that_exist() -> None:
    text = (ROOT / "docs/from-the-notes.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| the notes")]
    assert len(rows) > 20
    for row in rows:
        named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", row)
        assert named, row
        for file, function in named:
            source = (ROOT / "tests/real" / file).read_text()
            assert f"def {function}(" in source, f"{file} has no {function}"


def test_every_row_of_the_comparison_names_tests_that_exist() -> None:
    table = (ROOT / "docs/comparison.md").read_text().partition("## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ") and "evidence for gpudock" not in line]
    assert len(rows) > 30
    for row in rows:
        cells = row.strip("| ").split(" | ")
        assert len(cells) == 9, row
        for named in cells[-1].split(", "):
            assert (ROOT / "tests" / named).is_file(), named
