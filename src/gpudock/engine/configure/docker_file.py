"""The daemon.json of one docker: read with what is known of earlier, judged before it is written."""

import os
import shutil
import tempfile
from typing import NamedTuple

from gpudock import proc
from gpudock.engine.configure import change, daemon_json, flags
from gpudock.engine.configure.daemon_json import Document
from gpudock.engine.configure.dockerd import PATHS, Daemon
from gpudock.errors import InputError, RefusedError
from gpudock.host.root import Root
from gpudock.plan.quote import quote

SECONDS = 20.0


class Known(NamedTuple):
    file: change.ConfigFile
    now: Document
    before: Document | None  # of the time before gpudock


def read(machine: Root, daemon: Daemon) -> Known:
    """Raises InputError for a file that docker would not understand: it is never written over."""
    file = change.read(machine, daemon.config)
    now = daemon_json.read(file.data, daemon.config)
    kept = file.before()
    return Known(file, now, None if kept is None else daemon_json.read(kept, file.backup))


def no_duplicates(daemon: Daemon, now: Document, after: Document) -> None:
    """Raises RefusedError where a flag of dockerd and the new file would say the same thing."""
    twice = flags.duplicates(daemon.flags, now.value, after.value)
    if not twice:
        return
    key = flags.KEYS[twice[0].name]
    said = ", ".join(dict.fromkeys(map(flags.in_words, twice)))
    raise RefusedError(
        f"Docker is started with {said}, so {daemon.config} must not have {key} as well: docker would not start.",
        why="it stands in " + ", ".join(dict.fromkeys(flag.source for flag in twice)),
        mend=f"take it out there and say the same in {daemon.config}; {_after_that(daemon)}; then run this again",
    )


def _after_that(daemon: Daemon) -> str:
    if not daemon.manager.unit:
        return "start docker again"
    user = "--user " if daemon.manager.user else ""
    return f"systemctl {user}daemon-reload and systemctl {user}restart {daemon.manager.unit}"


def validate(daemon: Daemon, after: Document, run: proc.Runner) -> bool:
    """Let dockerd itself judge the file with its flags. False: this dockerd cannot (before 23). Raises InputError."""
    program = _program(daemon)
    if program is None:
        return False
    arguments = _without_config(daemon.process.arguments[1:] if daemon.process else ())
    with tempfile.TemporaryDirectory(prefix="gpudock-") as folder:
        copy = f"{folder}/daemon.json"
        with open(copy, "x", encoding="utf-8", newline="") as file:
            file.write(after.text if after.text.strip() else "{}")
        answer = run(proc.Command((program, *arguments, "--validate", "--config-file", copy), timeout=SECONDS))
    said = " ".join((answer.err or answer.out).split()).replace(copy, daemon.config)
    if answer.code == proc.NOT_FOUND or "unknown flag: --validate" in said:
        return False
    if not answer.ok:
        raise InputError(
            f"Docker would refuse {daemon.config}.",
            why=quote(said, 400),
            mend="mend it; nothing was changed, and a running docker goes on",
        )
    return True


def _program(daemon: Daemon) -> str | None:
    """The file that runs, else the one on the path of services."""
    if daemon.process and daemon.process.program:
        return daemon.process.program
    if daemon.process and os.path.isabs(daemon.process.arguments[0]):
        return daemon.process.arguments[0]
    return shutil.which("dockerd", path=daemon.process.path if daemon.process else PATHS)


def _without_config(arguments: tuple[str, ...]) -> tuple[str, ...]:
    kept: list[str] = []
    rest = list(reversed(arguments))
    while rest:
        word = rest.pop()
        if word == "--config-file" and rest:
            rest.pop()
        elif not word.startswith("--config-file="):
            kept.append(word)
    return tuple(kept)
