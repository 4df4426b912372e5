"""Docker's command line as docker's own parser (Go's pflag) reads it, up to the first word that is no option."""

from collections.abc import Collection
from typing import NamedTuple

GLOBAL_BOOLEAN = frozenset(("debug", "D", "help", "h", "tls", "tlsverify", "v", "version"))


class Option(NamedTuple):
    """An option with its value, or a group such as -it or -itv: then `name` is the last letter."""

    name: str
    value: str
    words: tuple[str, ...]  # as they were written


class Options(NamedTuple):
    found: tuple[Option, ...]
    end: int  # how many words they are

    def last(self, *names: str) -> str | None:
        """The value that counts for an option with these names."""
        return next((option.value for option in reversed(self.found) if option.name in names), None)


class Call(NamedTuple):
    """A command line of docker taken apart: `docker BEFORE... NAME... AFTER...`."""

    before: Options
    name: tuple[str, ...]  # ("run",), ("container", "run"); () when there is no command
    after: tuple[str, ...]


def options(words: tuple[str, ...], boolean: Collection[str]) -> Options:
    """The options that `words` begin with. `boolean`: names, long and of one letter, that take no value."""
    found: list[Option] = []
    end = 0
    while end < len(words) and words[end].startswith("-") and words[end] not in {"-", "--"}:
        word = words[end]
        following = words[end + 1 : end + 2]
        option = (_long if word.startswith("--") else _group)(word, following, boolean)
        found.append(option)
        end += len(option.words)
    return Options(tuple(found), end)


def call(words: tuple[str, ...], boolean: Collection[str] = GLOBAL_BOOLEAN) -> Call:
    """Docker's own options, the command, and the words after it. `container run` is one command."""
    before = options(words, boolean)
    end = before.end
    if end == len(words) or words[end] == "--":
        return Call(before, (), words[end:])
    length = 2 if words[end] == "container" and len(words) > end + 1 else 1
    return Call(before, words[end : end + length], words[end + length :])


def _long(word: str, following: tuple[str, ...], boolean: Collection[str]) -> Option:
    name, equals, value = word[2:].partition("=")
    if equals:
        return Option(name, value, (word,))
    if name in boolean:
        return Option(name, "true", (word,))
    return Option(name, "".join(following), (word, *following))


def _group(word: str, following: tuple[str, ...], boolean: Collection[str]) -> Option:
    """-it, -p80:80, -p 80:80, -itv /a:/b, -i=false: the first letter with a value has all that is left, or the next."""
    for position, letter in enumerate(word[1:], 2):
        value = word[position:]
        if value.startswith("="):
            return Option(letter, value[1:], (word,))
        if letter not in boolean:
            return Option(letter, value, (word,)) if value else Option(letter, "".join(following), (word, *following))
    return Option(word[-1], "true", (word,))
