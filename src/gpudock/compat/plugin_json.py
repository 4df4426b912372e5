"""JSON as Go reads and writes it, because nvidia-docker 1's clients compare bodies, and Docker sends Go's."""

import json
import re
from typing import Any

from gpudock.errors import InputError

_ESCAPED = re.compile("[<>&\u2028\u2029\ud800-\udfff]")


def encoded(value: object) -> bytes:
    """Compact, with a newline at the end; what could end a script in a web page is escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return _ESCAPED.sub(_escape, text).encode() + b"\n"


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    return "\ufffd" if "\ud800" <= character <= "\udfff" else f"\\u{ord(character):04x}"


def texts(body: bytes, *keys: str) -> list[str]:
    """The texts of these keys of an object, "" for what is absent or null. Keys in any case; the last one counts.

    Raises InputError for what is no object, or holds something else than a text there. What follows is not looked at.
    """
    try:
        found, _ = json.JSONDecoder(object_pairs_hook=_Object, parse_constant=_refuse).raw_decode(
            body.decode("utf-8", "replace").lstrip(" \t\r\n")
        )
    except (ValueError, RecursionError) as error:
        raise InputError("The request is not JSON.", why=str(error)[:200]) from error
    pairs = _pairs(found)
    values = [_last(pairs, key) for key in keys]
    if not all(isinstance(value, str) for value in values):
        raise InputError(f"{' or '.join(keys)} is not a text.")
    return values


class _Object(list[tuple[str, Any]]):
    """The pairs of a JSON object, all of them."""


def _pairs(found: object) -> list[tuple[str, Any]]:
    if found is None:
        return []
    if not isinstance(found, _Object):
        raise InputError("The request is not a JSON object.")
    return found


def _last(pairs: list[tuple[str, Any]], key: str) -> Any:  # noqa: ANN401  whatever was sent
    values = [value for name, value in pairs if name.lower() == key.lower() and value is not None]
    return values[-1] if values else ""


def _refuse(word: str) -> None:
    raise ValueError(word)
