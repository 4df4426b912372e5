"""Makes an environment's container, starts it, and gives its services what they need. Never two at once."""

import contextlib
from collections.abc import Collection, Iterator
from typing import NamedTuple

import msgspec

from gpudock.engine import containers, labels
from gpudock.engine.containers import Container
from gpudock.env import create, gpus, mine, state, volume
from gpudock.env.create import Start
from gpudock.env.project import Project
from gpudock.env.services import display, fill, ports, secret, ssh, supervisor, table, wait
from gpudock.env.services.display import Shown
from gpudock.env.services.place import LOGS
from gpudock.env.services.table import Served
from gpudock.env.services.wait import Outcome
from gpudock.env.session import Session
from gpudock.env.state import State
from gpudock.errors import EngineError, RefusedError
from gpudock.plan.quote import quote
from gpudock.proc import Command, Result

_RACES = 5  # times that a port may be taken between our look and the start
_PATIENCE = 120.0  # seconds for a service; the first start of a big one reads its whole disk
_CREATE = 600.0  # seconds: a slow disk under a big image
_ENDS = 3  # times that a service may end before it is given up
_LOG_LINES = "15"


class Up(NamedTuple):
    """A running environment."""

    container: Container
    state: State
    services: tuple[tuple[Served, int], ...]  # with the port of the engine's machine


def fresh(
    session: Session, start: Start, gpu_tools: gpus.ToolsFor, env_files: tuple[str, ...], *, draws: bool
) -> Container:
    """A new container, started. A port that somebody takes meanwhile is replaced by the next free one."""
    copied = False
    for _ in range(_RACES):
        chosen = _with_ports(session, start)
        argv = gpus.argv(session, "create", _words(chosen, env_files), start.recipe.gpus, gpu_tools, draws=draws)
        with volume.filled(session, chosen) as new:
            made = session.run(Command(argv, timeout=_CREATE))
            if not made.ok:
                raise engine_error(session, "cannot make the container", made)
            for line in made.err.splitlines():
                if "warning" in line.lower():  # a limit that this kernel, or an engine without root, cannot hold
                    session.say(f"{session.client.name} says: {line.strip()}")
        copied = copied or new
        started = session.ask("start", start.names.container)
        if started.ok:
            if copied:
                volume.give(session, chosen)
            found = mine.find(session, start.names, start.folder)
            if found is not None:
                return found
        session.ask("rm", "--force", start.names.container)
        if not _ports_were_taken(session, chosen):
            raise engine_error(session, "cannot start the container", started)
    raise EngineError("Other programs take every port before the container can.", mend="name others: -p, or host_port")


def _words(start: Start, env_files: tuple[str, ...]) -> tuple[str, ...]:
    command = supervisor.command(start.recipe.user.shell, [served.program for served, _ in start.served])
    return create.words(start, command, env_files)


def planned(
    session: Session,
    start: Start,
    old: Container | None,
    gpu_tools: gpus.ToolsFor,
    env_files: tuple[str, ...],
    *,
    draws: bool,
) -> list[tuple[str, ...]]:
    """The engine's commands by which `fresh` makes the container, and `replaced` takes the old one's place."""
    own = promised(old, session.owner.uid) if old else set()  # which are free when it has gone
    chosen, name = _with_ports(session, start, own), start.names.container
    words = ("--dry-run", *_words(chosen, env_files))
    argv = gpus.argv(session, "create", words, start.recipe.gpus, gpu_tools, draws=draws)
    aside = [("stop", old.id), ("rename", old.id, _aside(old))] if old else []
    new = volume.is_missing(session, start)
    before = [*aside, *([volume.creation(start)] if new else [])]
    after = [
        *([volume.copying(start)] if new else []),
        ("start", name),
        *([("rm", "--force", _aside(old))] if old else []),
    ]
    told = session.client.words
    return [*((*told, *each) for each in before), argv, *((*told, *each) for each in after)]


def _aside(old: Container) -> str:
    return f"{old.name}-before"


@contextlib.contextmanager
def replaced(session: Session, old: Container | None) -> Iterator[None]:
    """Set an old container aside while a new one is made: it goes when that is there, and comes back when it is not."""
    if old is None:
        yield
        return
    aside = _aside(old)
    for words in (("stop", old.id), ("rename", old.id, aside)):
        done = session.ask(*words, timeout=120.0)
        if not done.ok and containers.inspected(session.client, [old.id], session.run):
            raise engine_error(session, f"cannot set {old.name} aside", done)
    try:
        yield
    except BaseException:
        session.ask("rm", "--force", old.name)  # half made, where we were interrupted
        session.ask("rename", aside, old.name)
        session.say(f"{old.name} is there as it was: gpudock env start goes on with it")
        raise
    session.ask("rm", "--force", aside)


def again(session: Session, container: Container) -> Container:
    """A stopped container, started."""
    started = session.ask("start", container.id)
    if not started.ok:
        raise engine_error(session, "cannot start the container", started)
    (found,) = containers.inspected(session.client, [container.id], session.run) or (container,)
    return found


def serve(session: Session, project: Project, container: Container, shown: Shown, place: str) -> Up:
    """Give a running container its secrets, new ones where it never had any."""
    kept = secret.with_token(state.load(place, project.names.key))
    who = inside(container)
    given = secret.files(project.recipe, kept, project.folder, session.environment)
    if "ssh" in project.recipe.services:
        given |= ssh.files(ssh.keys(place, session.run), container)
    fill.fill(session, container, {**given, **shown.files}, *who)
    kept = display.with_vnc(session, project.recipe, container, kept, who)
    state.save(place, project.names.key, kept)
    return Up(container, kept, services(project, container))


def kept(session: Session, container: Container, place: str, key: str) -> State:
    """Token and passwords; those of an environment that was started from elsewhere are asked of it."""
    found = state.load(place, key)
    if not found.token:
        told = session.ask("exec", "--user", "0", container.id, "cat", secret.TOKEN)
        found = State(token=told.out.strip() if told.ok else "")
    return found


def inside(container: Container) -> tuple[int, int]:
    """The user and group that our own container was started for."""
    told = container.environment
    return int(told.get("GPUDOCK_UID", "0")), int(told.get("GPUDOCK_GID", "0"))


def services(project: Project, container: Container) -> tuple[tuple[Served, int], ...]:
    """Those that the container was made with, with the ports that it really has."""
    known = {each.name: each for each in table.services(project.recipe, root=inside(container)[0] == 0)}
    outside = {each.inside: each.outside for each in container.ports}
    found = []
    for told in _told(container):
        served = known.get(told.name)
        if served is not None:
            found.append(
                (served._replace(port=told.port, address=told.address), outside.get(told.port, told.host_port))
            )
    return tuple(found)


class _Service(msgspec.Struct):
    name: str
    port: int
    host_port: int
    address: str = "127.0.0.1"


def _told(container: Container) -> list[_Service]:
    try:
        return msgspec.json.decode(container.labels.get(labels.SERVICES, "[]"), type=list[_Service])
    except msgspec.MsgspecError:
        return []


def names(container: Container) -> list[str]:
    return [each.name for each in _told(container)]


def promised(container: Container, uid: int) -> set[int]:
    """Ports of the engine's machine that a container has, or that our own will have when it is started again."""
    later = {each.host_port for each in _told(container)} if mine.belongs(container, uid) else set()
    return {each.outside for each in container.ports} | later


def ready(session: Session, up: Up, *, patience: float = _PATIENCE) -> tuple[Outcome, ...]:
    """Wait for every service. Raises EngineError with what it said, and RefusedError for one that is open to all."""

    def alive() -> bool:
        """A service that ended several times will not come up by waiting for it."""
        words = ("sh", "-c", f'grep -c "^{supervisor.ENDED}" {LOGS}/*.log; true')
        told = session.ask("exec", up.container.id, *words)
        counts = [line.rpartition(":")[2] for line in told.out.splitlines()]
        return told.ok and not any(count.isdecimal() and int(count) >= _ENDS for count in counts)

    outcomes = wait.until_ready(session, up.container, up.services, patience=patience, alive=alive)
    for outcome in outcomes:
        name = outcome.served.name
        if outcome.open_to_all:
            session.ask("stop", up.container.id)
            raise RefusedError(
                f"{name} lets everybody in without a token, so the container was stopped.",
                why="a configuration in the image or in the project switches its token off",
                mend="take c.IdentityProvider.token or c.ServerApp.token out of it",
            )
        if not outcome.ready:
            raise EngineError(
                f"The service {name} does not answer.",
                why=log(session, up.container, name) or "it said nothing",
                mend=f"gpudock env logs {name}",
            )
    return outcomes


def log(session: Session, container: Container, name: str) -> str:
    told = session.ask("exec", container.id, "tail", "-n", _LOG_LINES, f"{LOGS}/{name}.log")
    return told.out.strip()[-1500:] if told.ok else ""


def _with_ports(session: Session, start: Start, free: Collection[int] = ()) -> Start:
    others = containers.listed(session.client, session.run, stopped=True)
    taken = {port for each in others for port in promised(each, session.owner.uid)}
    chosen = []
    for served, wished in start.served:
        here = (lambda port: port in taken) if session.remote else ports.taken_here(served.address, taken)
        found = ports.Choice(wished, False) if wished in free else ports.choose(wished, here)
        if found.taken:
            session.say(f"port {wished} is taken: {served.name} gets {found.port}")
        taken.add(found.port)
        chosen.append((served, found.port))
    return start._replace(served=tuple(chosen))


def _ports_were_taken(session: Session, start: Start) -> bool:
    if session.remote:
        return False
    return any(ports.taken_here(served.address, ())(port) for served, port in start.served)


def engine_error(session: Session, what: str, done: Result) -> EngineError:
    said = " ".join(done.err.split()) or f"exit code {done.code}"
    return EngineError(f"{session.client.name} {what}.", why=quote(said, 400))
