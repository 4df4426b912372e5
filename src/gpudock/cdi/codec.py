"""CDI specifications as text: YAML as other tools write it, JSON for the file that engines read at each start."""

import contextlib
import json
from typing import Any, Literal

import yaml

from gpudock.cdi.schema import Spec
from gpudock.errors import InputError

Format = Literal["yaml", "json"]

_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DEPTH = 64  # levels of nesting; a specification has six
# The last two come out of PyYAML for tagged values that are none: !!int "", !!bool x, !!timestamp x
_BROKEN = (ValueError, yaml.YAMLError, RecursionError, LookupError, AttributeError)


def encode(spec: Spec | dict[str, Any], form: Format) -> bytes:
    """The same specification always gives the same bytes."""
    if form == "json":
        return json.dumps(spec, indent=1).encode() + b"\n"
    text: str = yaml.dump(spec, Dumper=_DUMPER, sort_keys=False, default_flow_style=False, width=1000)
    return b"---\n" + text.encode()


def decode(data: bytes, source: str) -> dict[str, Any]:
    """The document in `data`, YAML or JSON, not yet validated. Raises InputError naming `source`."""
    try:
        document = _load(data)
    except _BROKEN as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise InputError(f"{source} is neither JSON nor YAML.", why=reason, mend="generate it again") from error
    if not isinstance(document, dict):
        raise InputError(f"{source} is no CDI specification.", why="its top level is no mapping")
    return document


def _load(data: bytes) -> Any:  # noqa: ANN401  whatever the file holds
    if data.lstrip()[:1] == b"{":  # JSON, or YAML that is written so
        with contextlib.suppress(json.JSONDecodeError):
            return json.loads(data)
    depth = 0
    for event in yaml.parse(data, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEPTH:  # the C loader would overflow the stack and take the process with it
            raise ValueError("it is nested too deeply")
    return yaml.load(data, Loader=_LOADER)  # noqa: S506  CSafeLoader
