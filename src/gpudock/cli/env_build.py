"""`gpudock env build`: the image of a project's lock."""

import os
from typing import TYPE_CHECKING

from gpudock.cli import env_session
from gpudock.cli.env_here import engine_of
from gpudock.cli.run import WHICH_ENGINE
from gpudock.cli.terminal import say, show
from gpudock.cli.verb import Option, Verb

if TYPE_CHECKING:
    from gpudock.env.image.lock import Lock
    from gpudock.env.project import Project
    from gpudock.env.session import Session

PROGRESS = Option(
    ("--progress",),
    "progress",
    "How the build is shown. auto: tty on a terminal, else a line a step.",
    default="auto",
    choices=("auto", "tty", "plain", "json"),
)


def _build(
    *,
    folder: str | None,
    base: str,
    network: str,
    no_cache: bool,
    gpus: str,
    progress: str,
    engine: str | None,
    context: str | None,
    host: str | None,
) -> int:
    """Build the image of gpudock.lock, which is made first where there is none.

    Steps of `run:` with gpu: true get the driver and GPUs by `gpudock build`; no driver stays in the image. The name of
    the image is printed: the environment's, with the lock's hash.
    """
    project = env_session.project(folder)
    session = engine_of(engine, context, host)
    locked = lock(session, project, base=base, network=network)
    show(image(session, project, locked, network=network, no_cache=no_cache, gpus=gpus, progress=progress))
    return 0


def lock(session: "Session", project: "Project", *, base: str = "", network: str = "") -> "Lock":
    """The project's lock, made now where there is none. Raises InputError for one that no longer fits gpudock.yaml."""
    from gpudock.cli.env_lock import describe, pull
    from gpudock.env.choose import tables
    from gpudock.env.image import locking

    locked = current(project)
    if locked is None:
        say("there is no gpudock.lock yet: it is made now")
        wish = locking.Wish(network, base, env_session.machine(None, session), tables.load())
        locked = locking.make(session, project, wish, pull)
        locking.save(project.folder, locked, session.owner)
        say(f"gpudock.lock: {describe(locked)}")
    return locked


def current(project: "Project") -> "Lock | None":
    """The project's lock, if there is one. Raises InputError for one that no longer fits gpudock.yaml."""
    from gpudock.env.image import locking
    from gpudock.errors import InputError

    locked = locking.read(project.folder)
    if locked is not None and locking.stale(project, locked):
        raise InputError(
            "gpudock.lock does not fit gpudock.yaml.",
            why="gpudock.yaml, or a file that it names, was changed since",
            mend="gpudock lock",
        )
    return locked


def image(
    session: "Session",
    project: "Project",
    locked: "Lock",
    *,
    network: str = "",
    no_cache: bool = False,
    gpus: str = "all",
    progress: str = "auto",
) -> str:
    """Build it, shown as it goes on; the image's name."""
    from gpudock.cli.env_lock import pull
    from gpudock.cli.env_progress import reporter
    from gpudock.cli.run import here
    from gpudock.env.image import build

    wish = build.Wish(network, no_cache, gpus)
    tools = build.Tools(reporter(progress, os.environ), here(os.environ), pull)
    return build.image(session, project, locked, wish, tools)


build = Verb(
    _build,
    (
        PROGRESS,
        Option(("--gpus",), "gpus", "For steps that need one.", default="all", metavar="REQUEST"),
        Option(("--no-cache",), "no_cache", "Do every step again.", default=False),
        Option(("--base",), "base", "The base image, where gpudock.yaml names none.", default="", metavar="IMAGE"),
        env_session.NETWORK,
        env_session.FOLDER,
        *WHICH_ENGINE,
    ),
)
