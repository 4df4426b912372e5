"""JSON for container start, the other way: what parse.json read comes out with the same meaning, unknown fields too."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def json(value: "Any") -> bytes:  # noqa: ANN401  any JSON value
    """The text, in ASCII and without blanks. Names and lists keep their order."""
    try:
        from _json import encode_basestring_ascii as quoted  # noqa: PLC0415  absent from interpreters without it
        from _json import make_encoder  # noqa: PLC0415
    except ImportError:
        from json import dumps  # noqa: PLC0415

        return dumps(value, separators=(",", ":")).encode()
    try:
        encoder = make_encoder(None, repr, quoted, None, ":", ",", False, False, False)
        return "".join(encoder(value, 0)).encode()
    except Exception:  # noqa: BLE001  for it, infinite numbers are none; other interpreters may want it otherwise
        parts: "list[str]" = []
        _write(value, parts, quoted)
        return "".join(parts).encode()


def _write(value: "Any", parts: "list[str]", quoted: "Any") -> None:  # noqa: ANN401
    if isinstance(value, str):
        parts.append(quoted(value))
    elif value is None or value is True or value is False:
        parts.append({None: "null", True: "true", False: "false"}[value])
    elif isinstance(value, (int, float)):
        parts.append(repr(value).replace("inf", "1e999"))  # what was read as infinite
    elif isinstance(value, dict):
        parts.append("{")
        for name, item in value.items():
            parts.append(quoted(name) + ":")
            _write(item, parts, quoted)
            parts.append(",")
        _end(parts, "{", "}")
    else:
        parts.append("[")
        for item in value:
            _write(item, parts, quoted)
            parts.append(",")
        _end(parts, "[", "]")


def _end(parts: "list[str]", opened: str, closed: str) -> None:
    if parts[-1] == opened:
        parts[-1] = opened + closed
    else:
        parts[-1] = closed
