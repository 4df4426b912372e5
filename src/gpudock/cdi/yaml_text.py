"""YAML in and out: imported only where YAML is met, because PyYAML costs as much as all of `gpudock run`."""

from typing import Any

import yaml

_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DEPTH = 64  # levels of nesting; a specification has six
# The last two come out of PyYAML for tagged values that are none: !!int "", !!bool x, !!timestamp x
ERRORS = (ValueError, yaml.YAMLError, RecursionError, LookupError, AttributeError)


def dump(document: object) -> str:
    text: str = yaml.dump(document, Dumper=_DUMPER, sort_keys=False, default_flow_style=False, width=1000)
    return text


def load(data: bytes) -> object:
    """Raises one of ERRORS."""
    depth = 0
    for event in yaml.parse(data, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEPTH:  # the C loader would overflow the stack and take the process with it
            raise ValueError("it is nested too deeply")
    return yaml.load(data, Loader=_LOADER)  # noqa: S506  a safe loader
