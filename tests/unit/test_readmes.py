"""The first page in Japanese and Chinese leads to what the English one leads to, and shows the same commands."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENGLISH = "README.md"


def links(name: str) -> set[str]:
    """But for those to the other languages, which differ."""
    found = set(re.findall(r"\]\(([^)]+)\)", (ROOT / name).read_text()))
    return {each for each in found if not each.startswith("README")}


def commands(name: str) -> list[str]:
    lines = [line for line in (ROOT / name).read_text().splitlines() if line.startswith("    ")]
    return [re.split(r"\s+# |\s{4,}", line.strip())[0] for line in lines]


@pytest.mark.parametrize("name", ["README.ja.md", "README.zh.md"])
def test_a_translation_lags_behind_in_nothing(name: str) -> None:
    assert links(name) == links(ENGLISH)
    assert commands(name) == commands(ENGLISH)
    for link in links(ENGLISH):
        assert (ROOT / link).exists(), link


def test_the_commands_are_found() -> None:
    assert "gpudock doctor" in commands(ENGLISH)
