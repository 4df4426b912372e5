"""Writes a specification as YAML, of which it needs little: PyYAML would cost a fifth of `gpudock cdi generate`.

Strings that YAML could take for something else are quoted.
"""

import json
import re
from functools import cache

# Plain in every YAML: a version, or no leading digit, sign or indicator, no blanks; and none of YAML 1.1's words.
_PLAIN = re.compile(r"\d+\.\d+\.\d+|[A-Za-z_/][A-Za-z0-9_./=+-]*")
_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "none"}


def yaml(document: object) -> str:
    """The document (mappings, lists, strings, integers, booleans) in block style."""
    lines: list[str] = []
    _write(lines, document, "")
    return "\n".join(lines) + "\n"


def _write(lines: list[str], value: object, indent: str) -> None:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            head = f"{indent}{_scalar(key)}:"
            if isinstance(item, dict | list) and item:
                lines.append(head)
                _write(lines, item, indent + "  " if isinstance(item, dict) else indent)
            else:
                lines.append(f"{head} {_scalar(item)}")
    elif isinstance(value, list) and value:
        for item in value:
            first = len(lines)
            _write(lines, item, indent + "  ")
            lines[first] = f"{indent}- {lines[first].lstrip(' ')}"
    else:
        lines.append(indent + _scalar(value))


def _scalar(value: object) -> str:
    return _text(value) if isinstance(value, str) else json.dumps(value, default=str)


@cache  # most of a specification's strings stand in it many times
def _text(value: str) -> str:
    if _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return '"' + "".join(map(_character, value)) + '"'


def _character(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    return character if character.isprintable() else f"\\U{ord(character):08x}"
