"""Figures where there is little room: what is missing is "?"."""

import pytest

from gpudock.facts.base import Missing
from gpudock.monitor import figures

GIB = 1 << 30
UNTOLD = Missing("the driver does not tell")


@pytest.mark.parametrize(
    ("used", "total", "text"),
    [
        (118 * GIB, 140 * GIB, "118/140 GiB"),
        (0, 140 * GIB, "0/140 GiB"),
        (UNTOLD, 140 * GIB, "?/140 GiB"),
        (GIB, UNTOLD, "1.0 GiB/?"),
        (UNTOLD, UNTOLD, "?/?"),
    ],
)
def test_a_part_of_a_whole(used: int | Missing, total: int | Missing, text: str) -> None:
    assert figures.part(used, total) == text


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (0.0, ("", "──────")),
        (0.5, ("━━━", "───")),
        (0.59, ("━━━╸", "──")),
        (1.0, ("━━━━━━", "")),
        (7.0, ("━━━━━━", "")),
        (UNTOLD, ("", "╌╌?╌╌╌")),
    ],
)
def test_bars_have_their_width(share: float | Missing, shown: tuple[str, str]) -> None:
    assert figures.bar(share, 6) == shown
    assert len("".join(shown)) == 6


def test_small_lines_show_the_newest_and_leave_out_what_is_unknown() -> None:
    assert figures.spark([0.0, 1.0, None, 0.5], 6) == "  ▁█ ▅"
    assert figures.spark([0.0, 1.0, None, 0.5], 2) == " ▅"
