"""Reads YAML. Imported only where somebody else's specification is met: PyYAML costs as much as `gpudock run`."""

from typing import Any

import yaml

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DEPTH = 64  # levels of nesting; a specification has six
# The last two come out of PyYAML for tagged values that are none: !!int "", !!bool x, !!timestamp x
ERRORS = (ValueError, yaml.YAMLError, RecursionError, LookupError, AttributeError)


def load(data: bytes) -> object:
    """Raises one of ERRORS."""
    depth = 0
    for event in yaml.parse(data, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent):  # a few lines of them can stand for more than any memory holds
            raise ValueError("it uses aliases, which no specification needs")  # noqa: TRY004  no wrong argument
        if depth > _DEPTH:  # the C loader would overflow the stack and take the process with it
            raise ValueError("it is nested too deeply")
    return yaml.load(data, Loader=_LOADER)  # noqa: S506  a safe loader
