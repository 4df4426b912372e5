"""All text for people passes here: file contents, image variables and names of processes are somebody else's, and a
terminal obeys the escape sequences in them.
"""

import os
import sys

_said_simulated = False


def safe(text: str) -> str:
    """The text with control characters, but newline and tab, written out: "\\x1b"."""
    if text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return "".join(each if each.isprintable() or each in "\n\t" else _escaped(each) for each in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


def show(text: str) -> None:
    """A result, on standard output."""
    print(safe(text))


def columns() -> int:
    """How wide the terminal is that standard output goes to; 0: it goes to none, so nothing has to be shortened."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns if sys.stdout else 0
    except (OSError, ValueError):  # a file, or closed
        return 0


def say(text: str) -> None:
    """What a person should know, on standard error, with the program's name before it."""
    print(safe(f"gpudock: {text}"), file=sys.stderr, flush=True)


def say_simulated() -> None:
    """Once in a process, however often it reads the simulated machine."""
    global _said_simulated  # noqa: PLW0603  what a person has read belongs to the process
    if not _said_simulated:
        _said_simulated = True
        say("SIMULATED: these GPUs are not real")


def agreed(question: str, flag: str) -> bool:
    """Whether the person says yes. Without a terminal nobody can: `flag` is named, which answers it beforehand."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        say(f"{question} Not without a terminal: add {flag}")
        return False
    sys.stderr.write(safe(f"{question} [y/N] "))
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
