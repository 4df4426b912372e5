"""All text for people passes here: file contents, image variables and names of processes are somebody else's, and a
terminal obeys the escape sequences in them.
"""

import sys

import click

_SAID = "gpudock.simulated"  # in the context of one invocation


def safe(text: str) -> str:
    """The text with control characters, but newline and tab, written out: "\\x1b"."""
    return "".join(each if each.isprintable() or each in "\n\t" else _escaped(each) for each in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


def show(text: str) -> None:
    """A result, on standard output."""
    print(safe(text))


def say(text: str) -> None:
    """What a person should know, on standard error, with the program's name before it."""
    print(safe(f"gpudock: {text}"), file=sys.stderr, flush=True)


def say_simulated() -> None:
    """Once in a command, however often it reads the simulated machine."""
    context = click.get_current_context(silent=True)
    said = {} if context is None else context.meta  # shared by a command and its groups
    if not said.setdefault(_SAID, False):
        said[_SAID] = True
        say("SIMULATED: these GPUs are not real")
