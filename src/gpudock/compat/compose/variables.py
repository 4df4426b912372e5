"""${VARIABLES} of compose files, and the .env file beside them."""

import re
from collections.abc import Mapping

from gpudock.errors import InputError
from gpudock.plan.quote import quote

_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*[=:]\s*(.*)", re.DOTALL)
_PLACE = re.compile(
    r"\$(?:(?P<escaped>\$)|(?P<plain>[A-Za-z_][A-Za-z0-9_]*)|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<how>:?[-?+]|(?=\})))"
)
_BRACE = re.compile(r"\$\$|\$\{|\}")
_DEPTH = 20  # of ${A:-${B:-...}}


def dotenv(text: str) -> dict[str, str]:
    """Lines KEY=VALUE. Single quotes keep a value as it is; ` #` begins a comment."""
    found = {}
    for line in text.splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        value = match[2].strip()
        if value[:1] in {"'", '"'} and value.find(value[0], 1) > 0:
            value = value[1 : value.find(value[0], 1)]
        else:
            value = re.split(r"(?:^|\s)#", value, maxsplit=1)[0].rstrip()
        found[match[1]] = value
    return found


def filled(text: str, variables: Mapping[str, str], depth: int = 0) -> str:
    """With each $NAME, ${NAME}, ${NAME:-default}, ${NAME:?message}, ${NAME:+other} replaced. Raises InputError."""
    pieces: list[str] = []
    at = 0
    while found := _PLACE.search(text, at) if depth < _DEPTH else None:
        pieces.append(text[at : found.start()])
        at = found.end()
        if found["escaped"]:
            pieces.append("$")
        elif found["plain"]:
            pieces.append(variables.get(found["plain"], ""))
        else:
            end = _closing(text, at)
            if end is None:
                return "".join((*pieces, text[found.start() :]))
            pieces.append(_value(found["name"], found["how"], text[at:end], variables, depth))
            at = end + 1
    return "".join((*pieces, text[at:]))


def _closing(text: str, at: int) -> int | None:
    """Where the brace that is open at a position is closed."""
    inside = 0
    for found in _BRACE.finditer(text, at):
        if found[0] == "}" and not inside:
            return found.start()
        inside += {"}": -1, "${": 1}.get(found[0], 0)
    return None


def _value(name: str, how: str, other: str, variables: Mapping[str, str], depth: int) -> str:
    there = name in variables and (not how.startswith(":") or bool(variables[name]))
    if how.endswith("-"):
        return variables[name] if there else filled(other, variables, depth + 1)
    if how.endswith("+"):
        return filled(other, variables, depth + 1) if there else ""
    if how.endswith("?") and not there:
        raise InputError(f"The variable {name} is not set.", why=quote(other) if other else "")
    return variables.get(name, "")
