"""The arguments of `docker run` and `podman run`, read as the engines' own parser reads them (Go's pflag, up to the
first word that is no flag), so that the image is found, gpudock's flags are taken out, and all else stays as it is.
"""

from collections.abc import Iterator
from typing import NamedTuple

from gpudock.errors import UsageError
from gpudock.plan.quote import quote

# Flags without a value, of docker 20 to 28 and podman 4 to 5. No name is such a flag for one engine and takes a value
# for the other. Everything else takes a value.
BOOLEAN = frozenset(
    (
        *("detach", "disable-content-trust", "help", "init", "interactive", "no-healthcheck", "oom-kill-disable"),
        *("privileged", "publish-all", "quiet", "read-only", "rm", "sig-proxy", "tty"),
        *("use-api-socket",),  # docker alone; what follows, podman alone
        *("env-host", "http-proxy", "no-hostname", "no-hosts", "passwd", "purge", "read-only-tmpfs", "replace"),
        *("rmi", "rootfs", "tls-verify", "unsetenv-all"),
    )
)
SHORT_BOOLEAN = frozenset("diPqt")
SHORT = {"e": "env", "H": "host", "q": "quiet"}  # those that are looked at, and their long names
OWN_BOOLEAN = "dry-run"
OWN = ("gpus", "engine", "context", "host", "snapshot")
_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")


class Arguments(NamedTuple):
    """A command line taken apart. `flags` + what gpudock adds + `rest` is the engine's command line."""

    flags: tuple[str, ...]  # the engine's own, as they were written
    rest: tuple[str, ...]  # from the image on; "--" before it when it was there
    image: str
    own: dict[str, str]  # gpudock's, by name: those of OWN
    dry_run: bool
    values: dict[
        str, tuple[str, ...]
    ]  # the engine's flags that are looked at, by long name: env, env-file, device, ...

    def last(self, name: str) -> str | None:
        """The value that counts for a flag that is given once."""
        given = self.values.get(name)
        return given[-1] if given else None


class HelpAsked(Exception):  # noqa: N818  no error: how the scan ends when the user asks for help
    """--help stands before the image."""


class _Flag(NamedTuple):
    name: str  # long where it is looked at, else as written; "" for a group of nothing but switches
    value: str
    words: tuple[str, ...]  # as the engine is to see it
    switches: str = ""  # of a group such as -itH: the letters before this one


def scan(words: tuple[str, ...], verb: str = "run") -> Arguments:
    """Take the arguments of `gpudock run` apart. Raises UsageError, and HelpAsked."""
    flags: list[str] = []
    own: dict[str, str] = {}
    values: dict[str, tuple[str, ...]] = {}
    dry_run = False
    position = 0
    while position < len(words) and words[position].startswith("-") and words[position] not in {"-", "--"}:
        flag = _read(words[position:])
        position += len(flag.words)
        if flag.name == "help":
            raise HelpAsked
        if flag.name == OWN_BOOLEAN:
            dry_run = _boolean(flag)
        elif flag.name in OWN:
            _take(own, flag)
            flags += ["-" + flag.switches] if flag.switches else []
        else:
            flags += flag.words
            values[flag.name] = (*values.get(flag.name, ()), flag.value)
        values |= {SHORT.get(letter, letter): ("true",) for letter in flag.switches}
    rest = words[position:]
    image = rest[1:2] if rest[:1] == ("--",) else rest[:1]
    if not image:
        raise _no_image(verb, words)
    return Arguments(tuple(flags), rest, image[0], own, dry_run, values)


def _read(words: tuple[str, ...]) -> _Flag:
    """The flag, or group of short flags of which the last counts, that `words` begins with."""
    if words == ("-h",):  # docker's -h is the container's host name, but nothing is named here
        raise HelpAsked
    if words[0].startswith("--"):
        return _long(words)
    return _group(words)


def _long(words: tuple[str, ...]) -> _Flag:
    name, equals, value = words[0][2:].partition("=")
    if equals:
        return _Flag(name, value, words[:1])
    if name in BOOLEAN or name == OWN_BOOLEAN:
        return _Flag(name, "true", words[:1])
    if len(words) == 1:
        raise _no_value(words[0])
    return _Flag(name, words[1], words[:2])


def _group(words: tuple[str, ...]) -> _Flag:
    """-it, -eA=B, -e A=B, -itw/tmp, -i=false: the last letter may have a value, in this word or the next."""
    letters = words[0][1:]
    for position, letter in enumerate(letters):
        name, value = SHORT.get(letter, letter), letters[position + 1 :]
        if value.startswith("=") and len(value) > 1:
            return _Flag(name, value[1:], words[:1], letters[:position])
        if letter in SHORT_BOOLEAN:
            continue
        if value:
            return _Flag(name, value, words[:1], letters[:position])
        if len(words) == 1:
            raise _no_value("-" + letter)
        return _Flag(name, words[1], words[:2], letters[:position])
    return _Flag("", "true", words[:1], letters)


def _take(own: dict[str, str], flag: _Flag) -> None:
    if flag.name in own:
        hint = " and several devices as --gpus device=0,1" if flag.name == "gpus" else ""
        raise UsageError(f"--{flag.name} was given twice.", mend=f"give it once{hint}")
    own[flag.name] = flag.value


def _boolean(flag: _Flag) -> bool:
    if flag.value not in (*_TRUE, *_FALSE):
        raise UsageError(f"--{flag.name}={quote(flag.value)} is neither true nor false.")
    return flag.value in _TRUE


def _no_value(flag: str) -> UsageError:
    return UsageError(f"{quote(flag)} needs a value.", why="nothing follows it", mend=f"write {quote(flag)} VALUE")


def _no_image(verb: str, words: tuple[str, ...]) -> UsageError:
    swallowed = len(words) > 1 and not words[-1].startswith("-")
    return UsageError(
        "No image was given.",
        why=f"{quote(words[-1])} was read as the value of {quote(words[-2])}" if swallowed else "",
        mend=f"gpudock {verb} --gpus all IMAGE [COMMAND...]",
    )


def environment(arguments: Arguments, files: dict[str, str], caller: dict[str, str]) -> dict[str, str | None]:
    """What -e and --env-file set: None is a variable that is taken away. `files`: the text of each file."""
    found: dict[str, str | None] = {}
    for entry in _entries(arguments, files):
        name, equals, value = entry.partition("=")
        found[name] = value if equals else caller.get(name)
    return found


def _entries(arguments: Arguments, files: dict[str, str]) -> Iterator[str]:
    """Files first, as both engines do, whatever the order on the command line."""
    for path in arguments.values.get("env-file", ()):
        for line in files.get(path, "").splitlines():
            entry = line.lstrip()
            if entry and not entry.startswith("#"):
                yield entry
    yield from arguments.values.get("env", ())
