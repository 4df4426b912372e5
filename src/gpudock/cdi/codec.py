"""CDI specifications as text: YAML as other tools write it, JSON for the file that engines read at each start."""

import json
from typing import Any, Literal

from gpudock.cdi import emit
from gpudock.cdi.schema import Spec
from gpudock.errors import InputError

Format = Literal["yaml", "json"]


def encode(spec: Spec | dict[str, Any], form: Format) -> bytes:
    """The same specification always gives the same bytes."""
    if form == "json":
        return json.dumps(spec, indent=1).encode() + b"\n"
    return b"---\n" + emit.yaml(spec).encode()


def decode(data: bytes, source: str) -> dict[str, Any]:
    """The document in `data`, YAML or JSON, not yet validated. Raises InputError naming `source`."""
    document = _load(data, source)
    if not isinstance(document, dict):
        raise InputError(f"{source} is no CDI specification.", why="its top level is no mapping")
    return document


def _load(data: bytes, source: str) -> object:
    if data.lstrip()[:1] == b"{":
        try:
            return json.loads(data)
        except (ValueError, RecursionError) as error:
            json_error = error  # it may still be YAML of the flow style
    else:
        json_error = None
    from gpudock.cdi import yaml_reader  # noqa: PLC0415  see there

    try:
        return yaml_reader.load(data)
    except yaml_reader.ERRORS as error:
        reason = (str(json_error or error).splitlines() or [type(error).__name__])[0][:200]
        raise InputError(f"{source} is neither JSON nor YAML.", why=reason, mend="generate it again") from error
