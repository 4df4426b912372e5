"""The settings that an engine says are in force, as it prints them."""

import tomllib
from typing import Any

from gpudock import proc
from gpudock.plan.quote import quote

SECONDS = 15.0


def toml(run: proc.Runner, *words: str) -> tuple[dict[str, Any], str]:
    """What the command prints, and why it does not. A program that is not installed has no objection."""
    answer = run(proc.Command(words, timeout=SECONDS))
    if answer.code == proc.NOT_FOUND:
        return {}, ""
    if not answer.ok:
        lines = [line for line in answer.err.splitlines() if line.strip()] or [f"exit code {answer.code}"]
        return {}, quote(lines[-1], 300)
    try:
        return tomllib.loads(answer.out), ""
    except tomllib.TOMLDecodeError as error:
        return {}, f"{' '.join(words)} prints no TOML: {error}"
