from typing import Any

import pytest

from gpudock.cli.env_words import verb
from gpudock.cli.verb import Option
from gpudock.errors import UsageError

OPTIONS = (
    Option(("--gpus",), "gpus", ""),
    Option(("--volume", "-v"), "volume", "", default=()),
    Option(("--root",), "root", "", default=False),
    Option(("--progress",), "progress", "", "auto", choices=("auto", "tty")),
)


def _named(**_: Any) -> None:
    """Nothing."""


def test_options_stand_before_and_behind_names() -> None:
    found = verb(_named, OPTIONS, ("[NAME]",))
    assert found.read(["--gpus", "1", "seg", "-v/a:/b", "-v", "/c:/d", "--root"]) == {
        "gpus": "1",
        "volume": ("/a:/b", "/c:/d"),
        "root": True,
        "progress": "auto",
        "words": ("seg",),
    }


def test_a_commands_own_words_stay_its_own() -> None:
    found = verb(_named, OPTIONS, ("COMMAND",), command=True)
    read = found.read(["--root", "python", "--gpus", "x", "--", "-v", "--help"])
    assert read is not None
    assert (read["root"], read["gpus"]) == (True, None)
    assert read["words"] == ("python", "--gpus", "x", "--", "-v", "--help")
    after = found.read(["--", "--root"])
    assert after is not None
    assert (after["root"], after["words"]) == (False, ("--root",))


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--gpu", "1"], "no option --gpu"),
        (["--gpus"], "needs a value"),
        (["--root=yes"], "no option"),
        (["a", "b"], "one word too many"),
        (["--progress", "loud"], "none of auto, tty"),
        (["-x"], "no option -x"),
    ],
)
def test_mistakes_are_one_clear_error(words: list[str], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        verb(_named, OPTIONS, ("[NAME]",)).read(words)


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["seg", "--help"]])
def test_help_is_clicks(words: list[str]) -> None:
    assert verb(_named, OPTIONS, ("[NAME]",)).read(words) is None
