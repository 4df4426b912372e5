"""JSON for container start: the interpreter's own C scanner. Importing `json` costs more than all the rest here."""

from gpudock.errors import InputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_BLANKS = " \t\n\r"


class _Context:
    """What json.JSONDecoder would hand to the scanner."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float  # NaN, Infinity


def json(data: bytes, what: str, *, mend: str = "") -> "Any":  # noqa: ANN401  what the text holds
    """The value of a JSON text. `what` names it in the error. Raises InputError."""
    try:
        text = data.decode("utf-8")
        try:
            return _scan(text)
        except Exception:  # noqa: BLE001  it fails in its own ways; json says properly what is wrong
            return _fully(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{what} is no valid JSON.", why=f"{error}"[:200], mend=mend) from error


def _scan(text: str) -> "Any":  # noqa: ANN401
    from _json import make_scanner  # noqa: PLC0415  absent from interpreters without it

    context: "Any" = _Context
    value, end = make_scanner(context)(text, len(text) - len(text.lstrip(_BLANKS)))
    if text[end:].strip(_BLANKS):
        raise ValueError("something follows the value")
    return value


def _fully(text: str) -> "Any":  # noqa: ANN401
    import json as library  # noqa: PLC0415

    return library.loads(text)
