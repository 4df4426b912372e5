"""From a command line to the compose program's: what `gpudock compose` and `nvidia-docker-compose` have in common."""

import os
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from gpudock import proc
from gpudock.compat.compose import plugin, program, project, reach, served, style, variables
from gpudock.compat.compose.ask import VOLUME_DRIVER
from gpudock.compat.compose.document import Document
from gpudock.compat.compose.program import Program
from gpudock.compat.compose.project import Project
from gpudock.compat.compose.service import View
from gpudock.compat.compose.words import Words
from gpudock.engine import detect
from gpudock.engine.base import Client
from gpudock.engine.decide import RUNTIMES
from gpudock.errors import EngineError, InputError
from gpudock.plan.quote import quote
from gpudock.plan.request import ALL, Request

# Commands that start no container: they need the files, but not the GPUs.
WITHOUT_GPUS = frozenset(
    (
        *(
            "attach",
            "build",
            "commit",
            "cp",
            "down",
            "events",
            "exec",
            "export",
            "help",
            "images",
            "kill",
            "logs",
            "ls",
        ),
        *("pause", "port", "ps", "pull", "push", "restart", "rm", "start", "stats", "stop", "top", "unpause"),
        *("version", "volumes", "wait"),
    )
)
WITHOUT_FILES = frozenset(("", "help", "version", "ls"))
_SHOWS = frozenset(("config", "convert"))  # these show what services get, and start none


class Start(NamedTuple):
    """What a call ends in. `argv` (): nothing is run."""

    argv: tuple[str, ...] = ()
    environment: Mapping[str, str] = {}
    texts: Mapping[str, str] = {}
    notes: tuple[str, ...] = ()
    output: str = ""  # for people
    document: str = ""  # for standard output, as it is
    code: int = 0


class Session(NamedTuple):
    """What a call depends on besides its words."""

    folder: str  # the working directory
    environment: Mapping[str, str]
    run: str  # folder for made files
    tools: reach.Tools
    fetch: plugin.Fetch = plugin.fetch


class Way(NamedTuple):
    """How services get GPUs, and the program that starts them."""

    program: Program
    give: served.Giver
    describe: str
    notes: tuple[str, ...] = ()
    client: Client | None = None
    gpus: reach.Gpus | None = None


def by_engine(words: Words, session: Session) -> Way:
    """By what the engine can do. Raises GpudockError."""
    tools = session.tools
    engine = reach.engine(words.own, tools)
    client, answer = engine.client, engine.answer
    runs = program.find(client, words.own, tools.machine)
    gpus = reach.gpus(engine, tools)
    wanted = words.own.get("style", "")
    plain = not wanted and not answer.cdi and not set(answer.runtimes) & set(RUNTIMES)
    driver = plain and client.name == "docker" and _has_volume_driver(client, session)
    chosen = style.way(client, answer, runs, gpus.folder, style=wanted, plugin=driver)
    simulated = ("SIMULATED GPUs: programs find a driver, but nothing computes.",) if gpus.offer.simulated else ()
    describe = f"{client.name} {answer.version}, started by {runs.name}: {chosen.describe()}"
    give = served.ByEngine(engine, gpus, chosen, tools)
    return Way(runs, give, describe, (*engine.notes, *gpus.notes, *simulated), client, gpus)


def _has_volume_driver(client: Client, session: Session) -> bool:
    asked = (*client.words, "info", "--format", "{{json .Plugins.Volume}}")
    return f'"{VOLUME_DRIVER}"' in session.tools.run(proc.Command(asked)).out


def first_program(words: Words, session: Session) -> Program:
    """For calls that concern no GPU: nobody is asked anything."""
    machine = session.tools.machine
    failures: list[EngineError] = []
    for client in detect.clients(words.own, machine):
        try:
            return program.find(client, words.own, machine)
        except EngineError as error:
            failures.append(error)
    raise failures[0]


def files(words: Words, session: Session, names: tuple[str, ...] = project.NAMES) -> tuple[tuple[str, ...], str]:
    """Paths of the compose files, absolute or "-", and the project's folder. Raises InputError."""
    given = words.files
    if not given:
        here = words.folder or session.folder
        beside = os.path.join(here, ".env")
        known = {**(variables.dotenv(project.text(beside)) if os.path.isfile(beside) else {}), **session.environment}
        separator = known.get("COMPOSE_PATH_SEPARATOR") or os.pathsep
        given = tuple(path for path in known.get("COMPOSE_FILE", "").split(separator) if path)
    if not given:
        given = project.find(os.path.join(session.folder, words.folder), names)
    paths = tuple(path if path == "-" else os.path.join(session.folder, path) for path in given)
    paths = tuple(path if path == "-" else os.path.normpath(path) for path in paths)
    folder = words.folder or (session.folder if paths[0] == "-" else os.path.dirname(paths[0]))
    return paths, os.path.normpath(os.path.join(session.folder, folder))


def load(
    words: Words, session: Session, paths: tuple[str, ...], folder: str, made: tuple[Document, ...] = ()
) -> Project:
    """Raises InputError."""
    named = []
    for path in words.env_files:
        places = [os.path.join(base, path) for base in (session.folder, folder)]
        found = next((place for place in places if os.path.isfile(place)), None)
        if found is None:
            raise InputError(f"The env file {quote(path)} is not there.")
        named.append(found)
    known = project.environment(folder, tuple(named), session.environment)
    return project.read(paths, folder, known, made)


def templated(path: str, session: Session, gpus: tuple[str, ...]) -> tuple[Document, str]:
    """The compose file that a template makes, and its folder. Raises InputError and RefusedError."""
    from gpudock.compat.compose import template  # noqa: PLC0415  few projects have one

    whole = os.path.normpath(os.path.join(session.folder, path))
    text = template.rendered(path, project.text(whole), gpus, session.environment)
    return project.parsed(whole, text), os.path.dirname(whole)


def gpu_nodes(gpus: reach.Gpus) -> tuple[str, ...]:
    """For GPU_DEVICES of templates: the device nodes, by number."""
    if gpus.plan is not None:
        return style.plan_needs(gpus.plan).gpus
    number = gpus.offer.choose(Request(ALL), ("compute", "utility"), named=False).number
    return tuple(f"/dev/nvidia{index}" for index in range(max(number, 0)))


def command(runs: Program, words: Words, found: Project, main: tuple[str, ...], *, directory: bool) -> tuple[str, ...]:
    """The compose program's command line. `directory`: the files do not lie in the project's folder."""
    head: tuple[str, ...] = ()
    if directory and runs.reads_from_anywhere:
        head = ("--project-directory", found.folder)
    elif directory and not words.project:
        head = ("-p", _name(found))
    named = tuple(word for path in main for word in ("-f", path))
    return (*runs.argv, *head, *named, *words.passed, *words.command)


def _name(found: Project) -> str:
    """As compose programs name a project that was not given a name."""
    own = (found.main[0].document.value or {}).get("name")
    name = str(found.variables.get("COMPOSE_PROJECT_NAME") or own or os.path.basename(found.folder))
    return re.sub(r"[^a-z0-9_-]", "", name.lower()) or "default"


def environment(runs: Program, found: Project, session: Session) -> dict[str, str]:
    """Variables for the compose program besides the caller's; podman-compose reads .env beside its files only."""
    own = (
        {}
        if runs.reads_from_anywhere
        else {name: value for name, value in found.variables.items() if name not in session.environment}
    )
    return {**own, **runs.environment}


def active(words: Words, found: Project) -> Callable[[View], bool]:
    return served.profiles(words.profiles, found.variables, words.command)


def ensured(names: tuple[str, ...], way: Way, words: Words, session: Session) -> None:
    """Make the driver volumes that compose files call external: nvidia-docker-compose left that to its users."""
    if way.client is None or words.verb in _SHOWS or "dry_run" in words.switches:
        return
    for name in names:
        found = session.tools.run(proc.Command((*way.client.words, "volume", "inspect", name)))
        if found.ok or found.code == proc.NOT_FOUND:
            continue
        made = session.tools.run(proc.Command((*way.client.words, "volume", "create", "--driver", VOLUME_DRIVER, name)))
        if not made.ok:
            raise EngineError(
                f"The driver volume {name} is not there, and docker cannot make it.",
                why=quote(" ".join(made.err.split()), 300),
                mend="start nvidia-docker-plugin (sudo systemctl start nvidia-docker); or let docker have the runtime: "
                "sudo gpudock configure docker --restart",
            )
