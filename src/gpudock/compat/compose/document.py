"""A compose file as a value and as text with positions: YAML 1.1 as compose programs read it, but for times (22:22)."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from gpudock.errors import InputError
from gpudock.plan.quote import quote

LIMIT = 1 << 20  # bytes of one file; reading it takes some seconds
_VALUES = 1_000_000  # what aliases of aliases may grow to
_DEPTH = 100
MERGE = "tag:yaml.org,2002:merge"
_INT = re.compile(r"^(?:[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+)$")


class Tagged(NamedTuple):
    """A value with a tag of compose's own: !reset, !override."""

    tag: str
    value: object


class Loader(yaml.SafeLoader):
    """Ports such as 22:22 are no number in base 60, and a date is text."""


Loader.yaml_implicit_resolvers = {
    letter: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag not in {"tag:yaml.org,2002:int", "tag:yaml.org,2002:timestamp"}
    ]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver("tag:yaml.org,2002:int", _INT, list("-+0123456789"))


class Document(NamedTuple):
    name: str  # for messages
    text: str
    root: yaml.Node | None  # None: an empty file
    value: Any

    def line(self, *keys: object) -> int:
        """The line on which the value below these keys, or the last of them that is there, begins."""
        node, line = self.root, 1
        for key in keys:
            found = next((each for each in pairs(node) if each[0].value == str(key)), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        return line

    def place(self, *keys: object) -> str:
        return f"{self.name}:{self.line(*keys)}"


def pairs(node: yaml.Node | None) -> list[tuple[yaml.Node, yaml.Node]]:
    """Keys and values of a mapping, as they are written: merges are one of them."""
    return node.value if isinstance(node, yaml.MappingNode) else []


def load(name: str, text: str) -> Document:
    """Raises InputError with the file's name and line."""
    try:
        loader = Loader(text)
        root = loader.get_single_node()
        value = Values(name, loader).of(root) if root is not None else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}" if mark else name
        raise InputError(f"{where} is not YAML.", why=" ".join(str(error.problem or error.context).split())) from error
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"{name} is not YAML.", why=" ".join(str(error).split())[:200]) from error
    except RecursionError as error:
        raise InputError(f"{name} is nested too deeply.") from error
    return Document(name, text, root, value)


class Values:
    """What nodes mean. Nodes that aliases share give one and the same object."""

    def __init__(self, name: str, loader: Loader) -> None:
        self._name = name
        self._loader = loader
        self._found: dict[int, object] = {}
        self._sizes: dict[int, int] = {}
        self._open: set[int] = set()

    def of(self, node: yaml.Node) -> Any:  # noqa: ANN401  YAML
        known = id(node)
        if known in self._found:
            return self._found[known]
        if known in self._open or len(self._open) > _DEPTH:
            raise InputError(f"{self._at(node)} holds itself, or is nested too deeply.")
        self._open.add(known)
        value = self._made(node)
        self._open.discard(known)
        if node.tag.startswith("!"):
            value = Tagged(node.tag, value)
        self._sizes[known] = 1 + sum(self._sizes.get(id(child), 1) for child in _children(node))
        if self._sizes[known] > _VALUES:
            raise InputError(f"{self._at(node)} becomes too large by its aliases.")
        self._found[known] = value
        return value

    def _at(self, node: yaml.Node) -> str:
        return f"{self._name}:{node.start_mark.line + 1}"

    def _made(self, node: yaml.Node) -> object:
        if isinstance(node, yaml.SequenceNode):
            return [self.of(item) for item in node.value]
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node)
        if node.tag.startswith("!"):
            return yaml.load(str(node.value), Loader) if isinstance(node.value, str) else None  # noqa: S506  a safe one
        return self._loader.construct_object(node)

    def _mapping(self, node: yaml.MappingNode) -> dict[object, object]:
        own: dict[object, object] = {}
        merged: dict[object, object] = {}
        for key, value in node.value:
            if key.tag == MERGE:
                for source in sources(value):
                    found = self.of(source)
                    if not isinstance(found, dict):
                        raise InputError(f"{self._at(key)}: << takes a mapping.")
                    merged = {**found, **merged}
                continue
            if not isinstance(key, yaml.ScalarNode):
                raise InputError(f"{self._at(key)}: a key must be a word.")
            name = self.of(key)
            if name in own:
                raise InputError(f"{self._at(key)}: {quote(str(name))} is there twice.", mend="remove one of the two")
            own[name] = self.of(value)
        return {**merged, **own} if merged else own


def sources(value: yaml.Node) -> list[yaml.Node]:
    """What `<<` merges, the strongest first."""
    return list(value.value) if isinstance(value, yaml.SequenceNode) else [value]


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        yield from node.value
    for _, value in pairs(node):
        yield value
