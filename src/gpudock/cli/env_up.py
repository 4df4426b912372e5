"""`gpudock env up`, `start` and `run`: an environment's container, from its recipe."""

import os
import sys
from typing import TYPE_CHECKING, NamedTuple

from gpudock.cli.env_build import PROGRESS
from gpudock.cli.env_here import COMMON, engine_of, folder, meant
from gpudock.cli.env_words import verb
from gpudock.cli.run import become
from gpudock.cli.terminal import say, show
from gpudock.cli.verb import Option

if TYPE_CHECKING:
    from gpudock.engine.base import Wish
    from gpudock.engine.containers import Container
    from gpudock.engine.prepare import Tools
    from gpudock.env.given import Given
    from gpudock.env.preparing import Image
    from gpudock.env.project import Project
    from gpudock.env.running import Up
    from gpudock.env.session import Session


class Building(NamedTuple):
    progress: str
    base: str
    network: str


DRY_RUN = Option(("--dry-run",), "dry_run", "Print the engine's commands instead of running them.", default=False)


START = (
    Option(("--gpus",), "gpus", "As docker's: all, a number, device=0,2, none.", metavar="REQUEST"),
    Option(("--cpus",), "cpus", "How many CPUs' time.", metavar="NUMBER"),
    Option(("--cpuset-cpus",), "cpuset_cpus", "Which CPUs: 0-3,8.", metavar="LIST"),
    Option(("--memory", "-m"), "memory", "Memory: 32g.", metavar="SIZE"),
    Option(("--memory-swap",), "memory_swap", "Memory and swap together; -1: swap without limit.", metavar="SIZE"),
    Option(("--shm-size",), "shm_size", "Size of /dev/shm, which data loaders use.", metavar="SIZE"),
    Option(("--pids-limit",), "pids_limit", "How many processes and threads.", metavar="NUMBER"),
    Option(("--volume", "-v"), "volume", "One more volume, as docker's -v.", default=(), metavar="VOLUME"),
    Option(("--publish", "-p"), "publish", "One more port, as docker's -p.", default=(), metavar="PORT"),
    Option(("--env", "-e"), "env", "One more variable.", default=(), metavar="NAME=VALUE"),
)
BUILDING = (
    PROGRESS,
    Option(("--base",), "base", "The base image, where gpudock.yaml names none.", "", metavar="IMAGE"),
    Option(
        ("--build-network",),
        "build_network",
        "The network of the build, as docker build --network.",
        "",
        metavar="NAME",
    ),
)


def _up(
    *,
    project: str | None,
    engine: str | None,
    context: str | None,
    host: str | None,
    force_recreate: bool,
    dry_run: bool,
    progress: str,
    base: str,
    build_network: str,
    words: tuple[str, ...],
    **given: object,
) -> None:
    """Start the environment of this folder: builds what is missing, waits until every service answers.

    Ends with the addresses and the token. An environment that is there already is started again as it is, with what
    was changed in it; --force-recreate makes it anew from gpudock.yaml.

    \b
    gpudock up
    gpudock up --gpus device=0,2 --memory 32g --memory-swap -1 --cpuset-cpus 0-7
    """
    del words
    from gpudock.env.given import Given

    session = engine_of(engine, context, host)
    wanted = Given.of(given)
    loaded = _loaded(session, project, wanted)
    if dry_run:
        _show_commands(session, loaded, wanted, recreate=force_recreate)
        return
    building = Building(progress, base, build_network)
    _come_up(session, loaded, wanted, building, recreate=force_recreate)


def _run(
    *,
    project: str | None,
    engine: str | None,
    context: str | None,
    host: str | None,
    dry_run: bool,
    progress: str,
    base: str,
    build_network: str,
    words: tuple[str, ...],
    **given: object,
) -> int:
    """Run one command in a new container of this folder's environment, which is removed afterwards.

    It has the recipe's GPUs, limits and volumes, and no services. Exit code, signals and terminal are the command's.

    \b
    gpudock env run python train.py
    gpudock env run --gpus 1 nvidia-smi
    """
    from gpudock.env import create, gpus, preparing
    from gpudock.env.given import Given
    from gpudock.env.services.display import Shown
    from gpudock.errors import UsageError

    if not words:
        raise UsageError("There is no command to run.", mend="gpudock env run python train.py")
    session = engine_of(engine, context, host)
    loaded = _loaded(session, project, Given.of(given))
    building = Building(progress, base, build_network)
    image = _known(session, loaded) if dry_run else _image(session, loaded, building)
    start = preparing.start(session, loaded, image, Shown())
    terminal = ("-i", *(("-t",) if sys.stdin.isatty() and sys.stdout.isatty() else ()))
    line = (*(("--dry-run",) if dry_run else ()), *create.once(start, terminal, words, env_files(loaded)))
    return become(gpus.argv(session, "run", line, loaded.recipe.gpus, _tools), dry_run=dry_run)


def _start(
    *, project: str | None, engine: str | None, context: str | None, host: str | None, words: tuple[str, ...]
) -> None:
    """Start a stopped environment again, as it was left, and wait until its services answer."""
    session = engine_of(engine, context, host)
    there = meant(session, project, *words)
    _come_up_again(session, there)


def _loaded(session: "Session", project: str | None, given: "Given") -> "Project":
    from gpudock.env import project as projects
    from gpudock.env.given import over
    from gpudock.plan.request import parse_gpus

    loaded = projects.load(folder(project), session.owner.uid)
    recipe = over(loaded.recipe, given)
    if recipe.gpus:
        parse_gpus(recipe.gpus)  # what is wrong in it is said before anything is built or stopped
    return loaded._replace(recipe=recipe)


def _come_up(session: "Session", project: "Project", given: "Given", building: Building, *, recreate: bool) -> None:
    from gpudock.env import listing, mine, preparing, running
    from gpudock.env.services import display

    there = mine.find(session, project.names, project.folder)
    if there is not None and not recreate:
        _same(session, project, there, given)
        _come_up_again(session, there)
        return
    shown = display.shown(session, project.recipe, project.names.key)  # what it lacks is said before a long build
    image = _image(session, project, building)
    start = preparing.start(session, project, image, shown, rm=given.rm)
    with running.replaced(session, there):
        made = running.fresh(session, start, _tools, env_files(project), draws=shown.draws)
    for limit in listing.unheld(session, made, project.recipe.resources):
        say(
            f"{limit} is not limited: {session.client.name} cannot do it here (without root, it needs cgroup version 2)"
        )
    _finish(session, running.serve(session, project, made, shown, _place()))


def _show_commands(session: "Session", project: "Project", given: "Given", *, recreate: bool) -> None:
    """What _come_up would have the engine do."""
    from gpudock.env import mine, preparing, running
    from gpudock.env.services import display

    there = mine.find(session, project.names, project.folder)
    if there is not None and not recreate:
        _same(session, project, there, given)
        lines = [] if there.running else [(*session.client.words, "start", there.id)]
    else:
        image = _known(session, project)
        shown = display.shown(session, project.recipe, project.names.key, dry_run=True)
        start = preparing.start(session, project, image, shown, rm=given.rm)
        lines = running.planned(session, start, there, _tools, env_files(project), draws=shown.draws)
    filling = (*session.client.words, "exec", "-i", "--user", "0", project.names.container, "/bin/sh", "-s")
    for each in (*lines, filling):
        become(each, dry_run=True)
    say("the last one gets secrets, and what starts the services, by standard input; then it waits for them")


def _known(session: "Session", project: "Project") -> "Image":
    from gpudock.cli.env_image import known

    image, here = known(session, project)
    if not here:
        become(("gpudock", "env", "build", "--folder", project.folder), dry_run=True)
    return image


def _come_up_again(session: "Session", there: "Container") -> None:
    """With the recipe that its folder has now: secrets and display are of this hour."""
    from gpudock.env import mine, running
    from gpudock.env import project as projects
    from gpudock.env.services import display
    from gpudock.errors import GpudockError

    loaded = projects.load(mine.project(there), session.owner.uid)
    try:
        shown = display.shown(session, loaded.recipe, loaded.names.key)
    except GpudockError as error:  # its services need no display
        say(f"without a display: {error.what}")
        shown = display.Shown()
    there = there if there.running else running.again(session, there)
    _finish(session, running.serve(session, loaded, there, shown, _place()))


def _tools(wish: "Wish") -> "Tools":
    from gpudock.cli.run import tools

    return tools(wish, os.environ)


def _place() -> str:
    from gpudock.env import state

    return state.folder(os.environ, os.geteuid())


def _finish(session: "Session", up: "Up") -> None:
    """Wait for the services, and say where they are."""
    from gpudock.engine import labels
    from gpudock.env import report, running

    if up.services and sys.stderr.isatty():
        say("waiting for " + ", ".join(served.name for served, _ in up.services))
    running.ready(session, up)
    given = up.container.labels.get(labels.GPUS, "")
    gpus = f"GPU {given}" if given else "no GPU"
    address = session.client.endpoint.address if session.remote else ""
    show(report.text(up, os.environ, session.owner.name, address, gpus))


def _same(session: "Session", project: "Project", there: "Container", given: "Given") -> None:
    """What was asked for and cannot be given to a container that is there already is said."""
    from gpudock.cli.env_image import lock_hash
    from gpudock.engine import labels
    from gpudock.env.given import Given

    if given != Given():
        session.say("it is there already and stays as it was made; --force-recreate makes it as you say now")
    locked = lock_hash(project.folder)
    if locked and there.labels.get(labels.LOCK) != locked:
        session.say("gpudock.lock has changed since it was made; gpudock up --force-recreate takes the new image")


def _image(session: "Session", project: "Project", building: Building) -> "Image":
    from gpudock.cli.env_image import built

    return built(session, project, building.progress, building.base, building.network)


def env_files(project: "Project") -> tuple[str, ...]:
    return tuple(os.path.join(project.folder, each) for each in project.recipe.env_files)


_RUN = (*COMMON, *START, *BUILDING)
up = verb(
    _up,
    (
        *_RUN,
        Option(("--rm",), "rm", "Remove the container when it stops.", default=False),
        Option(("--force-recreate",), "force_recreate", "Make the container anew from gpudock.yaml.", default=False),
        DRY_RUN,
    ),
)
run = verb(_run, (*_RUN, DRY_RUN), ("COMMAND", "[ARG...]"), command=True)
start = verb(_start, COMMON, ("[NAME]",))
