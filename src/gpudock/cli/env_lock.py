"""`gpudock lock`: which base, packages and CUDA an environment is made of, settled; and whether a machine runs it."""

from typing import TYPE_CHECKING

from gpudock.cli import env_session
from gpudock.cli.env_here import elsewhere, engine_of
from gpudock.cli.run import WHICH_ENGINE
from gpudock.cli.terminal import say, show
from gpudock.cli.verb import Option, Verb

if TYPE_CHECKING:
    from gpudock.env.session import Session


def _lock(
    *,
    folder: str | None,
    check: bool,
    machine: str | None,
    base: str,
    network: str,
    engine: str | None,
    context: str | None,
    host: str | None,
) -> int:
    """Settle what the environment of gpudock.yaml is made of, in gpudock.lock.

    CUDA is chosen by the framework, the driver and the GPUs of this machine, or of another one (--for); what cannot run
    there is refused before anything is fetched. Base image, Python and system packages are locked by version and hash:
    pip and apt are asked in a container of the base image.

    \b
    gpudock lock
    gpudock lock --for server.json
    gpudock lock --check            does it fit gpudock.yaml, and the machine?
    gpudock lock --check --for server.json
    """
    from gpudock.env.choose import tables
    from gpudock.env.image import locking

    project = env_session.project(folder)
    if check:
        own = {"engine": engine, "context": context, "host": host}
        return _check(folder, machine, None if machine else elsewhere(own))
    known = tables.load()
    if machine:  # what cannot run there needs no engine to be refused
        locking.decide(project, env_session.machine(machine), known)
    session = engine_of(engine, context, host)
    wish = locking.Wish(network, base, env_session.machine(machine, session), known)
    made = locking.make(session, project, wish, pull)
    locking.save(project.folder, made, session.owner)
    say(f"gpudock.lock: {describe(made)}")
    return 0


def pull(argv: tuple[str, ...]) -> int:
    from gpudock import proc

    say(" ".join(argv))
    return proc.show(argv)


def describe(made: "object") -> str:
    from gpudock.env.image.lock import Lock

    assert isinstance(made, Lock)
    parts = [f"Python {made.python}" if made.python else "", made.framework, f"CUDA {made.cuda}" if made.cuda else ""]
    parts.append(f"driver {made.driver} or newer" if made.driver else "")
    parts.append(f"{len(made.system_packages)} system and {len(made.python_packages)} Python packages")
    return ", ".join(filter(None, parts))


def _check(folder: str | None, machine: str | None, there: "Session | None") -> int:
    from gpudock.env.choose import tables
    from gpudock.env.image import locking
    from gpudock.errors import InputError, RefusedError

    project = env_session.project(folder)
    locked = locking.read(project.folder)
    if locked is None:
        raise InputError("There is no gpudock.lock.", mend="gpudock lock")
    if locking.stale(project, locked):
        raise InputError("gpudock.lock does not fit gpudock.yaml.", why="one was changed since", mend="gpudock lock")
    reasons = locking.unfit(locked, env_session.machine(machine, there), tables.load())
    if reasons:
        named = machine or (there.client.endpoint.address if there else "")
        where = f"the machine of {named}" if named else "this machine"
        raise RefusedError(f"The locked environment does not run on {where}.", why="; ".join(reasons))
    show(f"it runs: {describe(locked)}")
    return 0


lock = Verb(
    _lock,
    (
        Option(("--check",), "check", "Only tell whether lock, gpudock.yaml and machine fit.", default=False),
        env_session.FOR,
        Option(("--base",), "base", "The base image, where gpudock.yaml names none.", default="", metavar="IMAGE"),
        env_session.NETWORK,
        env_session.FOLDER,
        *WHICH_ENGINE,
    ),
)
