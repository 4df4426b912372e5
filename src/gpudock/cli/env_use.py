"""Working in an environment: shell, exec, attach, logs; its addresses and its token."""

import os
import sys
from typing import TYPE_CHECKING

from gpudock.cli.env_here import COMMON, engine_of, meant, running
from gpudock.cli.env_words import verb
from gpudock.cli.run import become
from gpudock.cli.terminal import say, show
from gpudock.cli.verb import Option

if TYPE_CHECKING:
    from gpudock.engine.containers import Container
    from gpudock.env.running import Up
    from gpudock.env.session import Session


def _shell(
    *,
    project: str | None,
    engine: str | None,
    context: str | None,
    host: str | None,
    root: bool,
    words: tuple[str, ...],
) -> int:
    """A shell in the environment, as you, in the folder where you are.

    Several at once are fine. What it starts ends with it, unless nohup, tmux or screen keep it.
    """
    session = engine_of(engine, context, host)
    there = running(session, project, *words)
    shell = there.environment.get("GPUDOCK_SHELL", "bash")
    return become(_inside(session, there, (shell, "-l"), root=root, terminal=True), dry_run=False)


def _exec(
    *,
    project: str | None,
    engine: str | None,
    context: str | None,
    host: str | None,
    root: bool,
    detach: bool,
    workdir: str | None,
    env: tuple[str, ...],
    words: tuple[str, ...],
) -> int:
    """Run a command in the running environment, as you; --root for the few that need it (apt-get install).

    A GPU's processes are listed with host process ids, which a container cannot see: nvidia-smi inside shows none.
    gpudock status on the machine shows which GPU process belongs to which environment.

    \b
    gpudock env exec python train.py
    gpudock env exec --root apt-get install htop
    """
    from gpudock.errors import UsageError

    if not words:
        raise UsageError("There is no command to run.", mend="gpudock env exec COMMAND, or: gpudock shell")
    session = engine_of(engine, context, host)
    there = running(session, project)
    flags = (*(("--detach",) if detach else ()), *(word for each in env for word in ("-e", each)))
    terminal = not detach and sys.stdin.isatty() and sys.stdout.isatty()
    line = _inside(session, there, words, root=root, terminal=terminal, flags=flags, workdir=workdir, listen=not detach)
    return become(line, dry_run=False)


def _inside(
    session: "Session",
    there: "Container",
    words: tuple[str, ...],
    *,
    root: bool,
    terminal: bool,
    flags: tuple[str, ...] = (),
    workdir: str | None = None,
    listen: bool = True,
) -> tuple[str, ...]:
    from gpudock.env import inside

    term = ("-e", f"TERM={os.environ['TERM']}") if terminal and os.environ.get("TERM") else ()
    stdio = (*(("-i",) if listen else ()), *(("-t",) if terminal else ()))
    where = workdir or inside.workdir(there, os.path.realpath(os.getcwd()))
    flags = (*stdio, *term, *flags, "--workdir", where)
    return inside.command(session, there, inside.on_terminal(words) if term else words, root=root, flags=flags)


def _attach(
    *, project: str | None, engine: str | None, context: str | None, host: str | None, words: tuple[str, ...]
) -> int:
    """The environment's first shell, as docker attach has it. Leave it with Ctrl-P Ctrl-Q: its work goes on.

    With a multiplexer in gpudock.yaml it is tmux or screen: leave that as you are used to.
    """
    from gpudock.env import inside

    session = engine_of(engine, context, host)
    there = running(session, project, *words)
    found = inside.multiplexer(there)
    if found:
        return become(_inside(session, there, found, root=False, terminal=True), dry_run=False)
    say("the environment's first shell; leave it with Ctrl-P Ctrl-Q")
    return become((*session.client.words, "attach", there.id), dry_run=False)


def _logs(
    *,
    project: str | None,
    engine: str | None,
    context: str | None,
    host: str | None,
    follow: bool,
    tail: str,
    words: tuple[str, ...],
) -> int:
    """What a service said last: gpudock env logs jupyter. Without a name: each of them.

    A stopped environment's services are told too.
    """
    from gpudock.env import logs
    from gpudock.env import running as runs
    from gpudock.errors import UsageError

    if not tail.isdecimal():
        raise UsageError(f"--tail {tail!r} is no number of lines.")
    session = engine_of(engine, context, host)
    there = meant(session, project)
    if words and there.running:
        return become(logs.command(session, there, words[0], tail=tail, follow=follow), dry_run=False)
    if words:
        show(logs.of_stopped(session, there, words[0], tail=tail))
        return 0
    if not runs.names(there):
        say(f"{there.name} has no services: gpudock.yaml names none")
    for name in runs.names(there):
        show(f"== {name}\n{logs.last(session, there, name, tail=tail)}")
    return 0


def _url(
    *, project: str | None, engine: str | None, context: str | None, host: str | None, words: tuple[str, ...]
) -> None:
    """The addresses of the environment's services, with the token where one is needed."""
    from gpudock.env import report

    for each in report.addresses(_found(engine_of(engine, context, host), project, words)):
        show(f"{each.name}\t{each.url}")


def _open(
    *, project: str | None, engine: str | None, context: str | None, host: str | None, words: tuple[str, ...]
) -> int:
    """Open a service of the environment in the browser: jupyter, or the one named.

    Over ssh, the command is shown that brings the address to your machine.
    """
    from gpudock.env import report
    from gpudock.env.services import tunnel
    from gpudock.errors import UsageError
    from gpudock.proc import show as shown

    session = engine_of(engine, context, host)
    up = _found(session, project, ())
    known = {each.name: each for each in report.addresses(up)}
    name = words[0] if words else next(iter(known), "")
    if name not in known:
        raise UsageError(f"There is no service {name!r} here.", why="there are: " + (", ".join(known) or "none"))
    chosen = known[name]
    address = session.client.endpoint.address if session.remote else ""
    way = tunnel.command([chosen.port], os.environ, session.owner.name, address)
    show(chosen.url)
    if way:
        say(f"on the machine with your browser, first: {way}")
        return 0
    desktop = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if desktop and os.geteuid() and shown(("xdg-open", chosen.url)):  # no browser starts as root
        say("no browser could be opened here; the address is above")
    return 0


def _found(session: "Session", project: str | None, words: tuple[str, ...]) -> "Up":
    from gpudock.env import mine, state
    from gpudock.env import project as projects
    from gpudock.env import running as runs

    there = running(session, project, *words)
    loaded = projects.load(mine.project(there), session.owner.uid)
    place = state.folder(os.environ, os.geteuid())
    return runs.Up(there, runs.kept(session, there, place, loaded.names.key), runs.services(loaded, there))


_ROOT = Option(("--root",), "root", "As root of the container.", default=False)
shell = verb(_shell, (*COMMON, _ROOT), ("[NAME]",))
exec_ = verb(
    _exec,
    (
        *COMMON,
        _ROOT,
        Option(("--detach", "-d"), "detach", "Leave it running, and come back at once.", default=False),
        Option(("--workdir", "-w"), "workdir", "Where in the container. [default: where you are]", metavar="FOLDER"),
        Option(("--env", "-e"), "env", "One more variable.", default=(), metavar="NAME=VALUE"),
    ),
    ("COMMAND", "[ARG...]"),
    command=True,
)
attach = verb(_attach, COMMON, ("[NAME]",))
logs = verb(
    _logs,
    (
        *COMMON,
        Option(("--follow", "-f"), "follow", "Go on with what comes.", default=False),
        Option(("--tail", "-n"), "tail", "How many lines. [default: 200]", "200", metavar="LINES"),
    ),
    ("[SERVICE]",),
)
url = verb(_url, COMMON, ("[NAME]",))
open_ = verb(_open, COMMON, ("[SERVICE]",))
