"""Versions as nvidia-docker 1 read them: by Go's Sscanf, whose error texts scripts may know."""

import re

from gpudock.compat.v1_error import V1Error
from gpudock.plan.quote import quote

_INTEGER = re.compile(r"\s*[+-]?[0-9]+")


def numbers(text: str, count: int, what: str) -> tuple[int, ...]:
    """The numbers that `text` begins with, points between them; what follows does not count. Raises V1Error."""
    found: list[int] = []
    position = 0
    for each in range(count):
        if each:
            if text[position : position + 1] != ".":
                raise _error("unexpected EOF" if position == len(text) else "input does not match format", what, text)
            position += 1
        match = _INTEGER.match(text, position)
        if match is None:
            raise _error("expected integer" if text[position:].strip() else "unexpected EOF", what, text)
        found.append(int(match[0]))
        position = match.end()
    return tuple(found)


def _error(text: str, what: str, value: str) -> V1Error:
    return V1Error(text, why=f"{what} is {quote(value)}")
