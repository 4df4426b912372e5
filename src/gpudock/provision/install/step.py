"""A step of a plan as a value: what it does, in words and as shell text that checks, applies and undoes it. Pure.

The text is what runs here, and what an emitted script has: one source, and an administrator can read it.
"""

import shlex
from typing import NamedTuple

NOTHING = ":"


class Step(NamedTuple):
    """Texts are bodies of shell functions with the prelude's at hand; `check` succeeds when the step is done."""

    id: str  # a name of the shell
    title: str
    why: str
    check: str
    apply: str
    undo: str = NOTHING
    network: bool = False
    warning: str = ""  # what a person should know before
    keeps: str = ""  # what undo leaves

    def describe(self) -> str:
        lines = [self.title, f"  why:  {self.why}"]
        lines += [f"  warn: {line}" for line in self.warning.splitlines()]
        lines += [f"  undo leaves: {self.keeps}"] if self.keeps else []
        return "\n".join(lines)


def quoted(*words: str) -> str:
    """Words for the shell, each one whole whatever it holds."""
    return shlex.join(words)


def here(text: str, path: str, mode: str = "644") -> str:
    """Writes the text to a file. The text goes through the shell unchanged."""
    return f"write_file {quoted(path)} {mode} <<'END'\n{_checked(text)}\nEND"


def is_here(text: str, path: str) -> str:
    """Ends a check that this file is not so."""
    return f"same_file {quoted(path)} <<'END' || return 1\n{_checked(text)}\nEND"


def _checked(text: str) -> str:
    assert "END" not in text.splitlines(), "the text would end its here-document"
    return text.rstrip("\n")
