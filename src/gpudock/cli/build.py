"""`gpudock build`: docker's or podman's own build, with GPUs in RUN steps."""

import os
from typing import TYPE_CHECKING

from gpudock.cli.run import WHICH_ENGINE, here
from gpudock.cli.terminal import say
from gpudock.cli.verb import Option, Verb

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gpudock.engine.build.arguments import Arguments

OPTIONS = (
    Option(
        ("--gpus",),
        "gpus",
        "all, a number, device=0,GPU-8f3c,0:1, none; docker's full form. [default: all, compute and utility]",
        metavar="REQUEST",
    ),
    WHICH_ENGINE[0]._replace(metavar="docker|podman|buildah"),
    *WHICH_ENGINE[1:],
    Option(("--dry-run",), "dry_run", "Print what would be done instead of doing it.", default=False),
    Option(("--help",), "help", "Show this message and exit.", default=False),
)


def _build(arguments: "Arguments") -> int:
    """Build an image whose RUN steps need the driver. No file of the driver stays in the image.

    Every option of `docker build` (or podman's, or buildah's) works and keeps its meaning. On these two, and on a
    docker with gpudock as its default runtime, every RUN step has the GPUs. On other dockers those steps have them
    before which the Dockerfile has the line "# gpudock: gpu". The image is named after every layer was looked at.

    \b
    gpudock build -t app .
    gpudock build --gpus device=0 -f Dockerfile.gpu --build-arg ARCH=90 -t app .
    gpudock build --dry-run .
    """
    return _perform(arguments, os.environ)


def _scan(words: "Sequence[str]") -> "dict[str, Arguments] | None":
    """The words are the engine's. None: the user asks for help."""
    from gpudock.engine.build import arguments

    try:
        return {"arguments": arguments.scan(tuple(words))}
    except arguments.HelpAsked:
        return None


build = Verb(_build, OPTIONS, _scan, ("CONTEXT",))


def _perform(arguments: "Arguments", environment: "Mapping[str, str]") -> int:
    from gpudock import proc
    from gpudock.engine import detect
    from gpudock.engine.build import buildah
    from gpudock.engine.build.perform import perform
    from gpudock.engine.build.work import Tools
    from gpudock.plan.request import NONE, VOID, parse_gpus

    request = parse_gpus(arguments.own.get("gpus", "all"))
    clients = buildah.clients(arguments.own, detect.this_machine(environment))
    if request.devices in {NONE, VOID}:
        return _plain((*clients[0].words, "build", *arguments.words(), *arguments.contexts), arguments)
    tools = Tools(proc.run, proc.attached, proc.show, proc.reading, say, environment)
    return perform(arguments, request, clients, here(environment), tools)


def _plain(argv: tuple[str, ...], arguments: "Arguments") -> int:
    """Without GPUs it is the engine's command."""
    from shlex import join

    from gpudock import proc

    if arguments.dry_run:
        print(join(argv))
        return 0
    proc.become(argv)
    return 0
