"""${VARIABLES} of compose files, and the .env file beside them."""

import re
from collections.abc import Mapping

from gpudock.errors import InputError
from gpudock.plan.quote import quote

_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*[=:]\s*(.*)", re.DOTALL)
_PLACE = re.compile(
    r"\$(?:(?P<escaped>\$)|(?P<plain>[A-Za-z_][A-Za-z0-9_]*)"
    r"|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?:(?P<how>:?[-?+])(?P<other>[^{}]*))?\})"
)


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


def filled(text: str, variables: Mapping[str, str]) -> str:
    """With each $NAME, ${NAME}, ${NAME:-default}, ${NAME:?message}, ${NAME:+other} replaced. Raises InputError."""

    def value(match: re.Match[str]) -> str:
        if match["escaped"]:
            return "$"
        name = match["plain"] or match["name"]
        how, other = match["how"] or "", match["other"] or ""
        there = name in variables and (not how.startswith(":") or bool(variables[name]))
        if how.endswith("-"):
            return variables[name] if there else filled(other, variables)
        if how.endswith("+"):
            return filled(other, variables) if there else ""
        if how.endswith("?") and not there:
            raise InputError(f"The variable {name} is not set.", why=quote(other) if other else "")
        return variables.get(name, "")

    return _PLACE.sub(value, text)
