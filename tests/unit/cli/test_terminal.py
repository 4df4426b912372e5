"""Somebody else's text on a terminal."""

import fcntl
import os
import struct
import termios

import pytest

from gpudock.cli import terminal


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, ümlaut 本\n\tnext", "plain text, ümlaut 本\n\tnext"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("back\rover\b", "back\\rover\\x08"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202egnp", "\\u202egnp"),
        ("\udcff", "\\udcff"),
    ],
)
def test_control_characters_are_written_out(text: str, shown: str) -> None:
    assert terminal.safe(text) == shown


def test_both_streams(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.show("a\x1bb")
    terminal.say("c\x1bd")
    assert capsys.readouterr() == ("a\\x1bb\n", "gpudock: c\\x1bd\n")


def test_only_a_terminal_has_a_width(monkeypatch: pytest.MonkeyPatch) -> None:
    assert terminal.columns() == 0
    monkeypatch.setattr("sys.stdout", None)
    assert terminal.columns() == 0
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    with os.fdopen(theirs, "w") as screen:
        monkeypatch.setattr("sys.stdout", screen)
        assert terminal.columns() == 80
    os.close(ours)
