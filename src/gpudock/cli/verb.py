"""Verbs as data. Importing click takes longer than starting Python, so a right command line is read here; --help and
mistyped ones are left to click, which is given the same data (by_click).
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple


class Option(NamedTuple):
    """An option with a value; with the default () it may be repeated. With a default of False it is a flag, and so it
    is with `off`, the name that says the contrary.
    """

    names: tuple[str, ...]  # "--output", "-o"
    key: str  # the parameter that gets it
    help: str
    default: object = None
    metavar: str | None = None
    choices: tuple[str, ...] = ()
    off: str = ""

    @property
    def is_flag(self) -> bool:
        return self.default is False or bool(self.off)

    @property
    def is_many(self) -> bool:
        return self.default == ()


class Verb(NamedTuple):
    """`function` returns the exit code or None; its docstring is the text of --help."""

    function: Callable[..., int | None]
    options: tuple[Option, ...]
    scan: Callable[[Sequence[str]], Mapping[str, Any] | None] | None = None  # reads the words instead, but for --help
    usage: tuple[str, ...] = ("IMAGE", "[COMMAND]", "[ARG...]")  # of a verb that reads them itself

    def read(self, words: Sequence[str]) -> Mapping[str, Any] | None:
        """The function's parameters; None when click has to judge or to help."""
        return self.scan(words) if self.scan else _read(self.options, words)


def _read(options: tuple[Option, ...], words: Sequence[str]) -> dict[str, Any] | None:
    known = {name: option for option in options for name in (*option.names, option.off)}
    values: dict[str, Any] = {option.key: option.default for option in options}
    rest = list(reversed(words))
    while rest:
        name, equals, value = rest.pop().partition("=")
        option = known.get(name)
        if option is None or not name or (equals and (option.is_flag or not name.startswith("--"))):
            return None
        if option.is_flag:
            values[option.key] = name != option.off
            continue
        if not equals:
            if not rest:
                return None
            value = rest.pop()
        if option.choices and value not in option.choices:
            return None
        values[option.key] = (*values[option.key], value) if option.is_many else value
    return values


class Verbs(NamedTuple):
    """Verbs by name: module of this package, name in it, line for --help. A module is imported when it is called."""

    help: str
    table: Mapping[str, tuple[str, str, str]]

    def get(self, name: str) -> Any:  # noqa: ANN401  a Verb, Verbs, or a command of click
        module, found, _ = self.table[name]
        return getattr(importlib.import_module(f"gpudock.cli.{module}"), found)

    def find(self, words: Sequence[str]) -> tuple[object, Sequence[str]]:
        """What the first words name, and the words after them."""
        if not words or words[0] not in self.table:
            return self, words
        found = self.get(words[0])
        return found.find(words[1:]) if isinstance(found, Verbs) else (found, words[1:])
