"""`gpudock compose`: docker compose, docker-compose or podman-compose, with GPUs."""

import os
import sys
from typing import TYPE_CHECKING

from gpudock.cli.terminal import say, show
from gpudock.cli.verb import Option, Verb

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gpudock.compat.compose.session import Session, Start
    from gpudock.compat.compose.words import Words

OPTIONS = (
    Option(
        ("-f", "--file"), "file", "A compose file; - is standard input. May be repeated.", default=(), metavar="FILE"
    ),
    Option(("--check",), "check", "Say what each service would get, and what may go wrong.", default=False),
    Option(
        ("--style",),
        "style",
        "How services get GPUs. [default: the best that the engine has]",
        choices=("cdi", "runtime", "reservation", "volume"),
    ),
    Option(("--gpus",), "gpus", "What services get that ask for nothing: all, 1, device=0.", metavar="REQUEST"),
    Option(("-t", "--template"), "template", "Make the compose file from this Jinja template.", metavar="FILE"),
    Option(("-G", "--generate"), "generate", "Write the compose file instead of starting anything.", default=False),
    Option(("-o", "--output"), "output", "Where -G writes. [default: standard output]", metavar="FILE"),
    Option(
        ("--engine",),
        "engine",
        "Which to use. [default: $GPUDOCK_ENGINE, else docker, podman]",
        metavar="docker|podman",
    ),
    Option(("-c", "--context"), "context", "Docker's context.", metavar="NAME"),
    Option(("-H", "--host"), "host", "Docker's address, such as ssh://user@machine.", metavar="ADDRESS"),
    Option(("--dry-run",), "dry_run", "Print the compose program's command instead of running it.", default=False),
    Option(("--help",), "help", "Show this message and exit.", default=False),
)


def _compose(words: "Words") -> int:
    """Run a compose command; services that ask for GPUs get them.

    Everything from the command on, and every other option of the compose program before it, is passed on as it is. A
    service asks by `gpus: all`, `gpus: 2`, a device reservation, `runtime: nvidia`, `x-gpudock:`, or as it did for
    nvidia-docker 1. gpudock checks what is asked, writes files that the engine understands into a private folder, and
    becomes docker compose, docker-compose or podman-compose. Your files stay as they are.

    \b
    gpudock compose up -d
    gpudock compose --check
    gpudock compose -f a.yml -f b.yml logs -f trainer
    gpudock compose -G -o ready.yml
    """
    from gpudock.compat.compose import compose

    looks = bool(words.switches & {"dry_run", "check"})
    return carried_out(compose.start(words, session(os.environ, looks=looks)), words)


def _scan(words: "Sequence[str]") -> "dict[str, Words] | None":
    from gpudock.compat.compose import words as grammar
    from gpudock.compat.compose.compose import GRAMMAR

    try:
        return {"words": grammar.scan(tuple(words), GRAMMAR)}
    except grammar.HelpAsked:
        return None


compose = Verb(_compose, OPTIONS, _scan, ("COMMAND", "[ARG...]"))


def session(environment: "Mapping[str, str]", *, looks: bool = False) -> "Session":
    """This call's surroundings. `looks`: it changes nothing, so no specification is made anew."""
    from gpudock import proc
    from gpudock.cli.run import here, refresher
    from gpudock.compat.compose import store
    from gpudock.compat.compose.reach import Tools
    from gpudock.compat.compose.session import Session
    from gpudock.engine import detect
    from gpudock.refresh import paths

    tools = Tools(
        proc.run,
        detect.this_machine(environment),
        here(environment),
        None if looks else refresher(environment),
    )
    own = paths.paths(environment, uid=os.geteuid())
    return Session(os.getcwd(), environment, store.folder_for(own.run, own.state), tools)


def carried_out(start: "Start", words: "Words") -> int:
    """Write the files and become the program, or show the result. Returns the exit code."""
    from gpudock.cli.output import write
    from gpudock.cli.run import become
    from gpudock.compat.compose import store

    for note in start.notes:
        say(note)
    store.write(start.texts, write)
    if start.document and not sys.stdout.isatty():
        write("-", start.document.encode())
    elif start.document:
        show(start.document.rstrip("\n"))
    if start.output:
        show(start.output.rstrip("\n"))
    if not start.argv:
        return start.code
    os.environ.update(start.environment)
    return become(start.argv, dry_run="dry_run" in words.switches)
