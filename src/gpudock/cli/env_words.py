"""Command lines of environments' verbs: options in any order, then names, or a command whose words are its own."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gpudock.cli.verb import Option, Verb
from gpudock.errors import UsageError
from gpudock.plan.quote import quote


def verb(
    function: Callable[..., int | None],
    options: tuple[Option, ...],
    usage: tuple[str, ...] = (),
    *,
    most: int | None = None,
    command: bool = False,
) -> Verb:
    """`most`: how many words may stand beside options (None: as `usage` names). `command`: all from the first word on
    is the parameter `words`.
    """
    limit = len(usage) if most is None else most
    helped = (*options, Option(("--help", "-h"), "help", "Show this message and exit.", default=False))
    name = function.__name__.strip("_").replace("_", "-")

    def scan(words: Sequence[str]) -> Mapping[str, Any] | None:
        values = _scanned(name, options, words, command=command)
        if values is not None and not command and len(values["words"]) > limit:
            raise UsageError(
                f"{quote(values['words'][limit])} is one word too many.", mend=f"gpudock env {name} --help"
            )
        return values

    return Verb(function, helped, scan, usage)


def _scanned(name: str, options: tuple[Option, ...], words: Sequence[str], *, command: bool) -> dict[str, Any] | None:
    known = {each: option for option in options for each in (*option.names, *filter(None, [option.off]))}
    values: dict[str, Any] = {option.key: option.default for option in options}
    rest, beside = list(reversed(words)), []
    while rest:
        word = rest.pop()
        if word in {"--help", "-h"} and word not in known:
            return None
        if word == "--" or (not word.startswith("-") or word == "-"):
            beside += [*([] if word == "--" else [word])]
            if command or word == "--":
                beside += reversed(rest)
                break
            continue
        _take(name, known, values, word, rest)
    return {**values, "words": tuple(beside)}


def _take(name: str, known: Mapping[str, Option], values: dict[str, Any], word: str, rest: list[str]) -> None:
    given, equals, value = word.partition("=") if word.startswith("--") else (word[:2], word[2:], word[2:])
    option = known.get(given)
    if option is None or (option.is_flag and equals):
        raise UsageError(f"gpudock env {name} has no option {quote(word)}.", mend=f"gpudock env {name} --help")
    if option.is_flag:
        values[option.key] = given != option.off
        return
    if not equals:
        if not rest:
            raise UsageError(f"{quote(given)} needs a value.", why="nothing follows it")
        value = rest.pop()
    if option.choices and value not in option.choices:
        raise UsageError(f"{given} {quote(value)} is none of {', '.join(option.choices)}.")
    values[option.key] = (*values[option.key], value) if option.is_many else value
