"""Flags that dockerd is started with. It does not start when a key stands there and in daemon.json too. Pure."""

import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from gpudock.plan.quote import quote

KEYS = {  # flag -> key
    "default-runtime": "default-runtime",
    "add-runtime": "runtimes",
    "feature": "features",
    "registry-mirror": "registry-mirrors",
    "userns-remap": "userns-remap",
    "data-root": "data-root",
    "graph": "data-root",
    "g": "data-root",
    "log-opt": "log-opts",
    "live-restore": "live-restore",
    "default-ulimit": "default-ulimits",
    "default-shm-size": "default-shm-size",
    "node-generic-resource": "node-generic-resources",
}
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_ASSIGNMENT = re.compile(r"(?:export\s+)?([A-Za-z_]\w*)=(.*)")
_SWITCH = re.compile(r"-[A-Za-z]|--[A-Za-z]")


class Flag(NamedTuple):
    name: str  # without its dashes
    value: str
    source: str  # the file, or the process, that it stands in


def of_words(words: Iterable[str], source: str) -> tuple[Flag, ...]:
    """The flags of a command line; of flags that take no value, the value is meaningless."""
    found: list[Flag] = []
    rest = list(words)
    for word, following in zip(rest, [*rest[1:], ""], strict=False):
        if _SWITCH.match(word):
            name, equals, value = word.lstrip("-").partition("=")
            value = value if equals else "" if following.startswith("-") else following
            found.append(Flag(name, value, source))
    return tuple(found)


def given(flags: Iterable[Flag], name: str) -> Flag | None:
    return next((flag for flag in flags if flag.name == name), None)


class Unit(NamedTuple):
    """A systemd unit as its files make it together."""

    commands: tuple[tuple[str, str], ...] = ()  # (file, ExecStart)
    environment: tuple[tuple[str, str], ...] = ()  # (file, "NAME=value" words)
    files: tuple[str, ...] = ()  # EnvironmentFile=


def unit(files: Iterable[tuple[str, str]]) -> Unit:
    """`files`: (path, text), the unit itself first, then its drop-ins in order. An empty ExecStart= begins anew."""
    commands: list[tuple[str, str]] = []
    environment: list[tuple[str, str]] = []
    names: list[str] = []
    for path, text in files:
        for line in re.sub(r"\\\r?\n", " ", text).splitlines():
            key, _, value = line.strip().partition("=")
            key, value = key.strip(), value.strip()
            if key == "ExecStart":
                commands = [*commands, (path, value)] if value else []
            elif key == "Environment":
                environment = [*environment, (path, value)] if value else []
            elif key == "EnvironmentFile":
                names = [*names, value.lstrip("-")] if value else []
    return Unit(tuple(commands), tuple(environment), tuple(names))


def of_unit(found: Unit, text: Callable[[str], str | None]) -> tuple[Flag, ...]:
    """Flags of ExecStart, those in variables named by the file that sets them. `text` reads an EnvironmentFile."""
    variables: dict[str, tuple[str, str]] = {}
    for path, words in found.environment:
        for word in _split(words):
            name, equals, value = word.partition("=")
            if equals:
                variables[name] = (value, path)
    for path in found.files:
        variables |= {name: (value, path) for name, value in assignments(text(path) or "").items()}
    flags: tuple[Flag, ...] = ()
    for path, command in found.commands:
        for word in _split(command):
            whole = re.fullmatch(r"\$(\w+)", word)
            if whole:
                value, source = variables.get(whole[1], ("", path))
                flags += of_words(_split(value), source)
        flags += of_words(_split(_VARIABLE.sub(lambda each: _braced(each, variables), command)), path)
    return flags


def _braced(found: re.Match[str], variables: Mapping[str, tuple[str, str]]) -> str:
    """${NAME} stays one word; a bare $NAME was split into words already."""
    return shlex.quote(variables.get(found[1], ("", ""))[0]) if found[1] else ""


def assignments(text: str) -> dict[str, str]:
    """NAME=value lines of a shell's or systemd's environment file, without the quotes."""
    found: dict[str, str] = {}
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        match = _ASSIGNMENT.fullmatch(line.strip())
        if match:
            found[match[1]] = " ".join(_split(match[2]))
    return found


def of_options(text: str, source: str) -> tuple[Flag, ...]:
    """Flags of the file that a service script reads: DOCKER_OPTS, OPTIONS, other_args."""
    found = assignments(text)
    return of_words(
        [word for name in ("DOCKER_OPTS", "OPTIONS", "other_args") for word in _split(found.get(name, ""))], source
    )


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text, comments=True)
    except ValueError:  # an open quote
        return text.split()


def duplicates(flags: Iterable[Flag], now: Mapping[str, object], after: Mapping[str, object]) -> tuple[Flag, ...]:
    """Flags whose key daemon.json does not have yet and would get."""
    new = after.keys() - now.keys()
    return tuple(dict.fromkeys(flag for flag in flags if KEYS.get(flag.name) in new))


def in_words(flag: Flag) -> str:
    return quote(f"--{flag.name} {flag.value}".strip(), 200)
