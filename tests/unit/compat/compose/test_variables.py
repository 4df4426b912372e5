"""${VARIABLES} and .env files, as compose programs read them."""

import pytest

from gpudock.compat.compose.variables import dotenv, filled
from gpudock.errors import InputError

KNOWN = {"A": "1", "EMPTY": ""}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$A-${A}", "1-1"),
        ("${NONE}", ""),
        ("${NONE:-x}${EMPTY:-y}${EMPTY-z}", "xy"),
        ("${A:+set}${NONE:+set}", "set"),
        ("$$A ${A:?no}", "$A 1"),
        ("${NONE:-$A}", "1"),
        ("cost: 5$", "cost: 5$"),
        ("${NONE:-${EMPTY:-${A}2}}.", "12."),
        ("${A:+${NONE-x}}${NONE:-$$}", "x$"),
        ("${A:-${B", "${A:-${B"),
        ("${A ${A}", "${A 1"),
        ("${NONE:-" * 40000, "${NONE:-" * 40000),
    ],
)
def test_variables_are_filled_in(text: str, value: str) -> None:
    assert filled(text, KNOWN) == value


def test_a_variable_that_must_be_there() -> None:
    with pytest.raises(InputError) as caught:
        filled("${GPU:?say which}", KNOWN)
    assert (caught.value.what, caught.value.why) == ("The variable GPU is not set.", "say which")


def test_env_files() -> None:
    text = "# c\nA=1\nexport B = two words # c\nC='as # it is'\nD=\"q\"\nE=\nF=a#b\n\nnonsense\n"
    assert dotenv(text) == {"A": "1", "B": "two words", "C": "as # it is", "D": "q", "E": "", "F": "a#b"}
