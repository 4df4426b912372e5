"""The life of environments: ls, stop, down, rm, token."""

import os
import sys
from typing import TYPE_CHECKING

from gpudock.cli.env_here import COMMON, engine_of, folder, meant
from gpudock.cli.env_words import verb
from gpudock.cli.run import WHICH_ENGINE
from gpudock.cli.terminal import safe, say, show
from gpudock.cli.verb import Option

if TYPE_CHECKING:
    from gpudock.engine.containers import Container
    from gpudock.env.listing import Row
    from gpudock.env.session import Session
    from gpudock.proc import Result


def _ls(
    *,
    engine: str | None,
    context: str | None,
    host: str | None,
    all_: bool,
    json: bool,
    words: tuple[str, ...],
) -> None:
    """Your environments on this engine; with --all those of everybody.

    Limits and use of your running ones are read from the kernel; of others, it is what their engine was asked for.
    """
    del words
    from datetime import UTC, datetime

    from gpudock.env import listing, mine

    session = engine_of(engine, context, host)
    rows = listing.rows(session, mine.every(session, everybody=all_), datetime.now(UTC))
    if json:
        print(listing.as_json(rows))
        return
    if not rows:
        say("no environments; gpudock init and gpudock up make one" + ("" if all_ else " (--all shows everybody's)"))
        return
    _table(rows)


def _table(rows: "list[Row]") -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from gpudock.env import words

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for title in ("NAME", "OWNER", "STATE", "GPUS", "PORTS", "MEMORY", "CPUS", "AGE", "IMAGE", "HOST"):
        table.add_column(title, overflow="fold" if title in {"PORTS", "IMAGE"} else "ellipsis")
    for each in rows:
        cells = (
            *(each.name, each.owner or f"uid {each.uid}", each.state, each.gpus or "-", "\n".join(each.ports) or "-"),
            *(words.memory(each.use["memory"], each.limits["memory"]), words.cpus(each.limits)),
            *(words.age(each.age_seconds), each.image, each.host),
        )
        table.add_row(*(Text(safe(cell)) for cell in cells))
    width = None if sys.stdout.isatty() else 200
    Console(width=width, highlight=False).print(table)


def _stop(
    *,
    project: str | None,
    engine: str | None,
    context: str | None,
    host: str | None,
    words: tuple[str, ...],
) -> None:
    """Stop the environment. What was changed in it stays; gpudock env start or gpudock up goes on with it."""
    session = engine_of(engine, context, host)
    there = meant(session, project, *words)
    _done(session, session.ask("stop", there.id, timeout=120.0), f"cannot stop {there.name}")
    say(f"{there.name} is stopped")


def _down(
    *,
    project: str | None,
    engine: str | None,
    context: str | None,
    host: str | None,
    words: tuple[str, ...],
) -> None:
    """Stop the environment and remove its container. Your files and the image stay.

    What was installed in it by hand goes with it: gpudock env commit keeps that.
    """
    session = engine_of(engine, context, host)
    there = meant(session, project, *words)
    if there.running:
        _done(session, session.ask("stop", there.id, timeout=120.0), f"cannot stop {there.name}")
    _removed(session, there)


def _rm(
    *,
    project: str | None,
    engine: str | None,
    context: str | None,
    host: str | None,
    force: bool,
    words: tuple[str, ...],
) -> None:
    """Remove a stopped environment's container, and forget its token. Your files and the image stay."""
    from gpudock.env import mine, naming, state
    from gpudock.errors import RefusedError

    session = engine_of(engine, context, host)
    there = meant(session, project, *words)
    if there.running and not force:
        raise RefusedError(f"{there.name} runs.", mend="gpudock env stop, or gpudock env rm --force")
    _removed(session, there, *(("--force",) if force else ()))
    key = naming.key(session.owner.uid, mine.project(there))
    state.forget(state.folder(os.environ, os.geteuid()), key)


def _removed(session: "Session", there: "Container", *flags: str) -> None:
    from gpudock.env import mine

    if _still(session, there):  # --rm: it may be gone already
        _done(session, session.ask("rm", *flags, there.id, timeout=120.0), f"cannot remove {there.name}")
    say(f"{there.name} is removed; the files in {mine.project(there)} and the image {there.image} stay")


def _still(session: "Session", there: "Container") -> bool:
    from gpudock.engine import containers

    return bool(containers.inspected(session.client, [there.id], session.run))


def _token(
    *,
    project: str | None,
    engine: str | None,
    context: str | None,
    host: str | None,
    password: bool,
    sha1: bool,
    new: bool,
    words: tuple[str, ...],
) -> None:
    """Show the token of this folder's running environment; --new makes another one.

    With --password, a password is asked for and set for the environment's notebook, beside the token, and shown in the
    form that Jupyter's own configuration takes (argon2; --sha1: that of notebooks before 6.1). From a script, give it
    on standard input.
    """
    from gpudock.env import tokens
    from gpudock.env.services import password as forms
    from gpudock.errors import UsageError

    if sha1 and not password:
        raise UsageError("--sha1 is a form of passwords.", mend="add --password")
    hashed = ""
    if password:
        asked = _asked()
        hashed = forms.sha1(asked) if sha1 else forms.argon2(asked)
        print(hashed)
        if not _is_there(project, words):
            return
    session = engine_of(engine, context, host)
    there = meant(session, project, *words)
    found = tokens.changed(session, there, os.environ, password=hashed, new=new)
    if not password:
        show(found)


def _is_there(project: str | None, words: tuple[str, ...]) -> bool:
    """Whether the password is for an environment, and not just asked for."""
    from gpudock.env.naming import RECIPE_FILE

    return bool(words) or os.path.exists(f"{folder(project)}/{RECIPE_FILE}")


def _asked() -> str:
    """From the terminal, twice and unseen; from a pipe, its first line."""
    from getpass import getpass

    from gpudock.errors import UsageError

    if sys.stdin.isatty():
        first = getpass("Password: ")
        if getpass("Again: ") != first:
            raise UsageError("The two are not the same.", mend="try again")
    else:
        first = sys.stdin.readline().rstrip("\n")
    if not first:
        raise UsageError("A password is never empty.")
    return first


def _done(session: "Session", result: "Result", what: str) -> None:
    from gpudock.env.running import engine_error

    if not result.ok:
        raise engine_error(session, what, result)


ls = verb(
    _ls,
    (
        *WHICH_ENGINE,
        Option(("--all", "-a"), "all_", "Those of everybody.", default=False),
        Option(("--json",), "json", "As JSON.", default=False),
    ),
)
stop = verb(_stop, COMMON, ("[NAME]",))
down = verb(_down, COMMON, ("[NAME]",))
rm = verb(_rm, (*COMMON, Option(("--force", "-f"), "force", "Also when it runs.", default=False)), ("[NAME]",))
token = verb(
    _token,
    (
        *COMMON,
        Option(("--new",), "new", "Make a new token; the old one counts no more.", default=False),
        Option(("--password",), "password", "Set a password, and show it as Jupyter writes it.", default=False),
        Option(("--sha1",), "sha1", "With --password: the form of old notebooks.", default=False),
    ),
    ("[NAME]",),
)
