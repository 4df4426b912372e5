"""Writes a specification as YAML, of which it needs little: PyYAML would cost a fifth of `gpudock cdi generate`.

Strings that YAML could take for something else are quoted.
"""

import json
import re
from collections.abc import Iterator

# Plain in every YAML: a version, or no leading digit, sign or indicator, no blanks; and none of YAML 1.1's words.
_PLAIN = re.compile(r"\d+\.\d+\.\d+|[A-Za-z_/][A-Za-z0-9_./=+-]*")
_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "none"}


def yaml(document: object) -> str:
    """The document (mappings, lists, strings, integers, booleans) in block style."""
    return "\n".join(_lines(document, "")) + "\n"


def _lines(value: object, indent: str) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _entry(f"{indent}{_scalar(key)}:", item, indent)
    elif isinstance(value, list) and value:
        for item in value:
            nested = list(_lines(item, indent + "  "))
            yield f"{indent}- {nested[0].lstrip(' ')}"
            yield from nested[1:]
    else:
        yield indent + _scalar(value)


def _entry(head: str, item: object, indent: str) -> Iterator[str]:
    if isinstance(item, dict) and item:
        yield head
        yield from _lines(item, indent + "  ")
    elif isinstance(item, list) and item:
        yield head
        yield from _lines(item, indent)
    else:
        yield f"{head} {_scalar(item)}"


def _scalar(value: object) -> str:
    if not isinstance(value, str):
        return json.dumps(value, default=str)
    if _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return '"' + "".join(map(_character, value)) + '"'


def _character(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    return character if character.isprintable() else f"\\U{ord(character):08x}"
