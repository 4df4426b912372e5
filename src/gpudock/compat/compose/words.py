"""The words before compose's command: our options, compose's that matter here, and compose's that are passed on."""

from typing import NamedTuple

from gpudock.errors import UsageError
from gpudock.plan.quote import quote

_SHORT = {"-f": "file", "-p": "project-name"}
_LOOKED_AT = ("file", "project-directory", "project-name", "env-file", "profile")
_REPLACED = ("file", "project-directory")  # by those of the made files
_PASSED = frozenset(  # compose's that take a value, of docker compose, docker-compose 1.29 and podman-compose
    (
        *_LOOKED_AT,
        *("ansi", "progress", "parallel", "log-level", "tlscacert", "tlscert", "tlskey"),
        *("podman-path", "podman-args", "in-pod", "pod-args"),
    )
)


class Grammar(NamedTuple):
    """Our own options: names with the dashes -> key. Those of compose are known here."""

    valued: dict[str, str]
    switches: dict[str, str]


class Words(NamedTuple):
    own: dict[str, str]
    switches: frozenset[str]
    files: tuple[str, ...]
    profiles: tuple[str, ...]
    env_files: tuple[str, ...]
    folder: str  # --project-directory, "" when it is not given
    project: str  # --project-name
    passed: tuple[str, ...]  # compose's other options, as they were written
    plain: tuple[str, ...]  # compose's whole command line: the words without our own
    command: tuple[str, ...]  # the command and all after it, as it was written

    @property
    def verb(self) -> str:
        return self.command[0] if self.command else ""


class HelpAsked(Exception):  # noqa: N818  no error: how the scan ends when the user asks for help
    """--help stands before the command."""


def scan(words: tuple[str, ...], grammar: Grammar) -> Words:
    """Take a command line apart, up to the first word that is no option. Raises UsageError and HelpAsked."""
    own: dict[str, str] = {}
    switches: set[str] = set()
    looked_at: dict[str, tuple[str, ...]] = {}
    passed: list[str] = []
    plain: list[str] = []
    at = 0
    while at < len(words) and words[at].startswith("-") and words[at] not in {"-", "--"}:
        start = at
        name, value, attached = _split(words[at], grammar)
        at += 1
        if name in {"-h", "--help"}:
            raise HelpAsked
        if name in grammar.switches:
            switches.add(grammar.switches[name])
            continue
        key = _SHORT.get(name, name.removeprefix("--")).replace("workdir", "project-directory")
        if name not in grammar.valued and key not in _PASSED and not key.startswith("podman-"):
            passed.append(words[start])  # a switch of compose's
            plain.append(words[start])
            continue
        if not attached:
            if at == len(words):
                raise UsageError(f"{quote(name)} needs a value.", why="nothing follows it")
            value = words[at]
            at += 1
        if name in grammar.valued:
            own[grammar.valued[name]] = value
            continue
        plain += words[start:at]
        if key in _LOOKED_AT:
            looked_at[key] = (*looked_at.get(key, ()), value)
        if key not in _REPLACED:
            passed += words[start:at]
    return Words(
        own,
        frozenset(switches),
        files=looked_at.get("file", ()),
        profiles=looked_at.get("profile", ()),
        env_files=looked_at.get("env-file", ()),
        folder=looked_at.get("project-directory", ("",))[-1],
        project=looked_at.get("project-name", ("",))[-1],
        passed=tuple(passed),
        plain=(*plain, *words[at:]),
        command=words[at:],
    )


def _split(word: str, grammar: Grammar) -> tuple[str, str, bool]:
    """An option's name, its value, and whether the value stands in the same word."""
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        return name, value, bool(equals)
    short = word[:2]
    if len(word) > 2 and (short in grammar.valued or short in _SHORT):
        return short, word[2:].removeprefix("="), True
    return word, "", False
