"""The arguments of `docker build` and `podman build`, read as the engines' own parser reads them (Go's pflag: flags may
stand before and after the context), so that gpudock's flags are taken out and some others can be held back.
"""

from typing import NamedTuple

from gpudock.errors import UsageError
from gpudock.plan.quote import quote

# Flags without a value, of docker 20 to 28, buildx 0.1 to 0.30 and podman 4 to 5. Everything else takes a value.
BOOLEAN = frozenset(
    (
        *("compress", "disable-content-trust", "force-rm", "help", "no-cache", "pull", "quiet", "rm", "squash"),
        *("check", "debug", "load", "push", "stream"),  # docker alone; what follows, podman alone
        *("all-platforms", "disable-compression", "http-proxy", "identity-label", "inherit-annotations"),
        *("compat-volumes", "created-annotation"),
        *("inherit-labels", "layers", "logsplit", "no-hostname", "no-hosts", "omit-history", "pull-always"),
        *("pull-never", "rewrite-timestamp", "skip-unused-stages", "squash-all", "stdin", "tls-verify"),
    )
)
SHORT = {
    "c": "cpu-shares",
    "D": "disable-compression",
    "f": "file",
    "H": "host",
    "m": "memory",
    "o": "output",
    "q": "quiet",
    "t": "tag",
    "v": "volume",
}
OWN = ("gpus", "engine", "context", "host")
DRY_RUN = "dry-run"
_TRUE, _FALSE = ("1", "t", "true"), ("0", "f", "false")


class HelpAsked(Exception):  # noqa: N818  no error: how the scan ends when the user asks for help
    """--help is among the words."""


class Flag(NamedTuple):
    name: str  # long
    value: str
    words: tuple[str, ...]  # as the engine is to see it


class Arguments(NamedTuple):
    """A command line taken apart: the engine's is `words()` and the context."""

    flags: tuple[Flag, ...]
    contexts: tuple[str, ...]  # more than one is a mistake that the engine tells of
    own: dict[str, str]  # gpudock's: gpus, engine, context, host
    dry_run: bool = False

    def values(self, name: str) -> tuple[str, ...]:
        return tuple(flag.value for flag in self.flags if flag.name == name)

    def on(self, name: str) -> bool:
        """Whether a flag without a value is given, and not as =false."""
        given = self.values(name)
        return bool(given) and given[-1].lower() not in _FALSE

    def words(self, *without: str) -> tuple[str, ...]:
        """The engine's flags as they were written, but those named here."""
        return tuple(word for flag in self.flags if flag.name not in without for word in flag.words)


def scan(words: tuple[str, ...]) -> Arguments:
    """Take the arguments of `gpudock build` apart. Raises UsageError, and HelpAsked."""
    flags: list[Flag] = []
    contexts: list[str] = []
    own: dict[str, str] = {}
    rest = list(words)
    dry_run = False
    while rest:
        if rest[0] == "--":
            contexts += rest[1:]
            break
        if not rest[0].startswith("-") or rest[0] == "-":
            contexts.append(rest.pop(0))
            continue
        for flag in _read(rest):
            if flag.name == "help":
                raise HelpAsked
            if flag.name == DRY_RUN:
                dry_run = _boolean(flag)
            elif flag.name in OWN:
                _take(own, flag)
            else:
                flags.append(flag)
    return Arguments(tuple(flags), tuple(contexts), own, dry_run)


def _read(rest: list[str]) -> list[Flag]:
    """The flags in the first word, which is taken away; with it the value of the last."""
    word = rest.pop(0)
    if word == "-h":
        raise HelpAsked
    if not word.startswith("--"):
        return _group(word, rest)
    name, equals, value = word[2:].partition("=")
    if equals:
        return [Flag(name, value, (word,))]
    if name in BOOLEAN or name == DRY_RUN:
        return [Flag(name, "true", (word,))]
    return [Flag(name, *_valued(word, rest))]


def _group(word: str, rest: list[str]) -> list[Flag]:
    """-q, -tname, -t name, -qt=name"""
    found: list[Flag] = []
    for position, letter in enumerate(word[1:], 1):
        name, value = SHORT.get(letter, letter), word[position + 1 :]
        if value.startswith("="):
            return [*found, Flag(name, value[1:], (f"-{letter}{value}",))]
        if name in BOOLEAN:
            found.append(Flag(name, "true", (f"-{letter}",)))
        elif value:
            return [*found, Flag(name, value, (f"-{letter}{value}",))]
        else:
            return [*found, Flag(name, *_valued(f"-{letter}", rest))]
    return found


def _valued(word: str, rest: list[str]) -> tuple[str, tuple[str, ...]]:
    if not rest:
        raise UsageError(f"{quote(word)} needs a value.", why="nothing follows it", mend=f"write {quote(word)} VALUE")
    value = rest.pop(0)
    return value, (word, value)


def _take(own: dict[str, str], flag: Flag) -> None:
    if flag.name in own:
        raise UsageError(f"--{flag.name} was given twice.", mend="give it once")
    own[flag.name] = flag.value


def _boolean(flag: Flag) -> bool:
    if flag.value.lower() not in (*_TRUE, *_FALSE):
        raise UsageError(f"--{flag.name}={quote(flag.value)} is neither true nor false.")
    return flag.value.lower() in _TRUE
