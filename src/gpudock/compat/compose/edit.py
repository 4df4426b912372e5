"""Changes the text of a compose file so that it means something else, and leaves alone whatever need not change:
comments, order, quotes, anchors. What is taken out stays as a comment.
"""

import re
from typing import Any

import yaml

from gpudock.compat.compose import document
from gpudock.compat.compose.document import MERGE, Document, Loader, Tagged, Values, sources
from gpudock.errors import InputError

_ALIAS = re.compile(r"(?:\s|#[^\n]*\n|-(?=\s)|:(?=\s))*\*[^\s,\[\]{}]+")
_ANCHOR = re.compile(r"(?:[&!]\S*[ \t]*)+")
_DASH = re.compile(r"([ \t]*)-[ \t]")
_MISSING = object()


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        del data
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # as people write lists
        del indentless
        super().increase_indent(flow, indentless=False)


def _tagged(dumper: yaml.SafeDumper, data: Tagged) -> yaml.Node:
    node = dumper.represent_data(data.value)
    node.tag = data.tag
    return node


_Dumper.add_representer(Tagged, _tagged)


class _HardError(Exception):
    """This text is written in a way that cannot be changed in part."""


def edited(before: Document, wanted: dict[str, Any]) -> str:
    """The document's text, changed to mean `wanted`."""
    if before.value == wanted:
        return before.text
    try:
        text = _Editor(before, wanted).text()
        if document.load(before.name, text).value == wanted:
            return text
    except (_HardError, InputError):
        pass
    return written(wanted)  # right, but without the comments


def written(value: object) -> str:
    return yaml.dump(
        value, Dumper=_Dumper, default_flow_style=False, sort_keys=False, allow_unicode=True, width=1 << 20
    )


def _inline(value: object) -> str:
    text = yaml.dump(value, Dumper=_Dumper, default_flow_style=True, sort_keys=False, allow_unicode=True, width=1 << 20)
    return text.removesuffix("\n").removesuffix("...").strip()


class _Editor:
    def __init__(self, before: Document, wanted: dict[str, Any]) -> None:
        self._text = before.text
        self._values = Values(before.name, Loader(""))
        self._root = before.root
        self._wanted: dict[int, Any] = {}  # what a node will mean, by where it is written
        self._edits: list[tuple[int, int, str]] = []
        if before.root is None:
            raise _HardError
        self._assign(before.root, wanted)
        if not self._visit(before.root, wanted):
            raise _HardError

    def text(self) -> str:
        pieces, at = [], 0
        for start, end, new in sorted(self._edits, key=lambda edit: edit[0]):
            if start < at:
                raise _HardError
            pieces += [self._text[at:start], new]
            at = end
        return "".join((*pieces, self._text[at:]))

    def _assign(self, node: yaml.Node, want: object) -> None:
        self._wanted[id(node)] = want
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if not _alias(value, key.start_mark.index) and key.tag != MERGE:
                    inner = want.get(self._values.of(key), _MISSING) if isinstance(want, dict) else _MISSING
                    self._assign(value, inner)
        elif isinstance(node, yaml.SequenceNode) and isinstance(want, list):
            kept = self._kept(node, want)
            for item, inner in zip(node.value, kept, strict=True):
                if not _alias(item, node.start_mark.index):
                    self._assign(item, inner)

    def _after(self, node: yaml.Node) -> Any:  # noqa: ANN401  YAML
        """What a node that is used by an alias will mean."""
        found = self._wanted.get(id(node), self._values.of(node))
        return found.value if isinstance(found, Tagged) else found

    def _visit(self, node: yaml.Node, want: object) -> bool:
        """Change the node's own text. False: the whole has to be written anew."""
        if isinstance(node, yaml.ScalarNode):
            return bool(self._values.of(node) == want)
        if node.tag.startswith("!"):
            return bool(self._values.of(node) == want)
        if isinstance(node, yaml.CollectionNode) and node.flow_style:
            return bool(self._values.of(node) == want) and not self._stale(node)
        if isinstance(node, yaml.MappingNode):
            return isinstance(want, dict) and bool(want) and self._mapping(node, want)
        return (
            isinstance(node, yaml.SequenceNode) and isinstance(want, list) and bool(want) and self._sequence(node, want)
        )

    def _stale(self, node: yaml.Node) -> bool:
        """Whether an alias inside will mean something else than before."""
        inside = [value for _, value in document.pairs(node)]
        inside += node.value if isinstance(node, yaml.SequenceNode) else []
        return any(
            self._after(each) != self._values.of(each)
            if _alias(each, node.start_mark.index)
            else not isinstance(each, yaml.ScalarNode) and self._stale(each)
            for each in inside
        )

    def _mapping(self, node: yaml.MappingNode, want: dict[Any, Any]) -> bool:
        own = [(key, value) for key, value in node.value if key.tag != MERGE]
        merges = [(key, value) for key, value in node.value if key.tag == MERGE]
        inherited: dict[Any, Any] = {}
        for _, value in merges:
            for source in sources(value):
                inherited = {**self._after(source), **inherited}
        names = {self._values.of(key) for key, _ in own}
        if any(name not in want for name in inherited if name not in names):
            for key, value in merges:
                self._remove(key, value)
            inherited = {}
        for key, value in own:
            self._entry(key, value, want.get(self._values.of(key), _MISSING))
        new = {
            name: value for name, value in want.items() if name not in names and inherited.get(name, _MISSING) != value
        }
        if new:
            self._add(self._extent(node), written(new), node.value[0][0].start_mark.column)
        return True

    def _entry(self, key: yaml.Node, value: yaml.Node, want: object) -> None:
        if want is _MISSING:
            self._remove(key, value)
        elif _alias(value, key.start_mark.index):
            if self._after(value) != want:
                self._replace(key, value, want)
        elif not self._visit(value, want):
            self._replace(key, value, want)

    def _sequence(self, node: yaml.SequenceNode, want: list[Any]) -> bool:
        kept = self._kept(node, want)
        end = node.start_mark.index
        dash = _DASH.match(self._text, self._line_start(node.value[0].start_mark.index))
        if dash is None or _alias(node.value[0], node.start_mark.index):
            return False
        for item, inner in zip(node.value, kept, strict=True):
            aliased = _alias(item, node.start_mark.index)
            start = self._alias_end(end) if aliased else item.start_mark.index
            end = start if aliased else self._extent(item)
            if inner is _MISSING:
                self._comment_out(start, end, dash=True)
            elif aliased:
                if self._after(item) != inner:
                    return False
            elif not self._visit(item, inner):
                if not (isinstance(item, yaml.ScalarNode) and isinstance(inner, str)):
                    return False
                self._edits.append((start, end, _inline(inner)))
        used = sum(inner is not _MISSING for inner in kept)
        for value in want[used:]:
            lines = written([value]).splitlines()
            self._add(end, "\n".join(lines), len(dash[1]))
        return True

    def _kept(self, node: yaml.SequenceNode, want: list[Any]) -> list[Any]:
        """For each item what it will mean; _MISSING for those that go."""
        found = self._values.of(node)
        old: list[Any] = found if isinstance(found, list) else found.value
        if len(old) == len(want) and not any(
            value in want and value != new for value, new in zip(old, want, strict=True)
        ):
            return list(want)  # changed one by one
        rest = list(want)
        return [rest.pop(0) if rest and rest[0] == value else _MISSING for value in old]

    # text

    def _add(self, after: int, text: str, column: int) -> None:
        end = self._line_end(after)
        indent = " " * column
        lines = "".join(f"\n{indent}{line}" if line else "\n" for line in text.rstrip("\n").split("\n"))
        self._edits.append((end, end, lines))

    def _remove(self, key: yaml.Node, value: yaml.Node) -> None:
        self._comment_out(key.start_mark.index, self._entry_end(key, value))

    def _comment_out(self, start: int, end: int, *, dash: bool = False) -> None:
        first, last = self._line_start(start), self._line_end(end)
        before = self._text[first:start]
        if before.strip() and not (dash and before.strip().startswith("-")):
            raise _HardError
        column = len(before) - len(before.lstrip())
        lines = self._text[first:last].split("\n")
        self._edits.append((first, last, "\n".join(_commented(line, column) for line in lines)))

    def _replace(self, key: yaml.Node, value: yaml.Node, want: object) -> None:
        colon = self._text.index(":", key.end_mark.index) + 1
        end = self._entry_end(key, value)
        own = not _alias(value, key.start_mark.index)
        anchor = _ANCHOR.match(self._text, value.start_mark.index) if own else None
        name = anchor[0].strip() if anchor and anchor[0].startswith("&") else ""
        start = f" {name}" if name else ""
        column = key.start_mark.column
        if not isinstance(want, (dict, list)) or not want or isinstance(want, Tagged):
            new = f"{start} {_inline(want)}"
            if own and isinstance(value, yaml.CollectionNode) and not value.flow_style:
                old = self._text[self._line_end(colon) : self._line_end(end)]
                column = (document.pairs(value) or [(value, value)])[0][0].start_mark.column
                new += "".join("\n" + _commented(line, column) for line in old.split("\n") if line)
                end = self._line_end(end)
            self._edits.append((colon, end, new))
            return
        if own and isinstance(value, yaml.CollectionNode) and value.flow_style:
            self._edits.append((colon, end, f"{start} {_inline(want)}"))
            return
        indent = " " * (column + 2)
        lines = "".join(f"\n{indent}{line}" for line in written(want).rstrip("\n").split("\n"))
        self._edits.append((colon, end, start + lines))

    def _entry_end(self, key: yaml.Node, value: yaml.Node) -> int:
        if _alias(value, key.start_mark.index):
            return self._alias_end(key.end_mark.index)
        return max(self._extent(value), self._text.index(":", key.end_mark.index) + 1)

    def _alias_end(self, after: int) -> int:
        found = _ALIAS.match(self._text, after)
        if found is None:
            raise _HardError
        return found.end()

    def _extent(self, node: yaml.Node) -> int:
        """Where the node's text ends; comments after it are not its own."""
        end: int = node.end_mark.index
        if isinstance(node, yaml.ScalarNode):
            return len(self._text[:end].rstrip()) if node.style in {"|", ">"} else end
        if not isinstance(node, yaml.CollectionNode) or node.flow_style or not node.value:
            return end
        if isinstance(node, yaml.MappingNode):
            return max(self._entry_end(key, value) for key, value in node.value)
        end = node.start_mark.index
        for item in node.value:
            end = self._alias_end(end) if _alias(item, node.start_mark.index) else self._extent(item)
        return end

    def _line_start(self, index: int) -> int:
        return self._text.rfind("\n", 0, index) + 1

    def _line_end(self, index: int) -> int:
        found = self._text.find("\n", index)
        return len(self._text) if found < 0 else found


def _alias(value: yaml.Node, after: int) -> bool:
    """Whether a node is written before the place where it is used."""
    return bool(value.start_mark.index < after)


def _commented(line: str, column: int) -> str:
    column = min(column, len(line) - len(line.lstrip()))
    return line if not line.strip() or line.lstrip().startswith("#") else f"{line[:column]}# {line[column:]}"
