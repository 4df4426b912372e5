"""Keeping and sharing environments: commit, save, load, push, cp, export-tar."""

import os
from typing import TYPE_CHECKING

from gpudock.cli.env_here import COMMON, engine_of, folder, meant, running
from gpudock.cli.env_words import verb
from gpudock.cli.run import become
from gpudock.cli.terminal import agreed, say, show
from gpudock.cli.verb import Option

if TYPE_CHECKING:
    from gpudock.env.commit import Added
    from gpudock.env.session import Session


def _commit(
    *,
    project: str | None,
    engine: str | None,
    context: str | None,
    host: str | None,
    write: bool,
    message: str,
    words: tuple[str, ...],
) -> None:
    """Keep what was installed in the environment by hand: shows it, and writes it into gpudock.yaml.

    With an image's name, the container as it is becomes that image, too. What the recipe says is repeatable, and an
    image that somebody made by hand is not: so the recipe is offered first. --write asks nothing.

    \b
    gpudock env commit
    gpudock env commit --write
    gpudock env commit me/experiment:tuesday
    """
    from gpudock.env import commit, mine

    session = engine_of(engine, context, host)
    there = running(session, project)
    now = commit.installed(session, there)
    found = commit.added(commit.of_image(session, there.image_id), now)
    for each in (*found.python, *found.system):
        show(f"+ {each}")
    if not found:
        say("no packages were added by hand")
    elif write or agreed("Write them into gpudock.yaml?", "--write"):
        _written(session, mine.project(there), found)
    if words:
        commit.image(session, there, words[0], message)
        say(f"{there.name} as it is now is the image {words[0]}")


def _written(session: "Session", where: str, found: "Added") -> None:
    from gpudock import publish
    from gpudock.env import commit, owner, recipe_file
    from gpudock.env.naming import RECIPE_FILE

    path = f"{where}/{RECIPE_FILE}"
    text = commit.write_back(publish.read_capped(path, recipe_file.LIMIT).decode(), found)
    recipe_file.parse(text, path)
    with owner.acting(session.owner, where):
        publish.write(path, text.encode(), os.stat(path).st_mode & 0o777)
    say(f"{path} has them now; gpudock lock settles them, gpudock up --force-recreate takes them")


def _save(
    *,
    project: str | None,
    engine: str | None,
    context: str | None,
    host: str | None,
    output: str | None,
    words: tuple[str, ...],
) -> None:
    """Save the environment's image, gpudock.yaml and gpudock.lock into one file, with checksums.

    The file has its name only when it is whole. After an interruption, saving again goes on where it ended. With -o -
    it goes to standard output: gpudock env save -o - | ssh server gpudock env load -
    """
    del words
    from gpudock.cli.env_image import saved

    session = engine_of(engine, context, host)
    saved(session, folder(project), output)


def _load(
    *,
    project: str | None,
    engine: str | None,
    context: str | None,
    host: str | None,
    machine: str | None,
    words: tuple[str, ...],
) -> None:
    """Load an environment that was saved: its image, and gpudock.yaml and gpudock.lock into this folder.

    Before the image is touched, the lock is held against this machine's driver and GPUs (or those of --for). Every
    piece is verified before the engine may use it, and nothing half is left when it is interrupted.
    """
    from gpudock.cli.env_image import loaded
    from gpudock.errors import UsageError

    if len(words) != 1:
        raise UsageError("Which file?", mend="gpudock env load FILE; - is standard input")
    session = engine_of(engine, context, host)
    loaded(session, words[0], folder(project), machine)


def _push(
    *, project: str | None, engine: str | None, context: str | None, host: str | None, words: tuple[str, ...]
) -> int:
    """Push the image of gpudock.lock to a registry, under the name given: registry.example.org/team/seg:1.

    The engine's own login counts. What was installed by hand since is in none of it: gpudock env commit.
    """
    from gpudock.cli.env_image import locked_image
    from gpudock.env.running import engine_error
    from gpudock.errors import UsageError

    if len(words) != 1:
        raise UsageError("Which name shall it have in the registry?", mend="gpudock env push REGISTRY/NAME:TAG")
    session = engine_of(engine, context, host)
    found, _ = locked_image(session, folder(project))
    tagged = session.ask("tag", found.id, words[0])
    if not tagged.ok:
        raise engine_error(session, f"cannot name the image {words[0]}", tagged)
    return become((*session.client.words, "push", words[0]), dry_run=False)


def _cp(
    *, project: str | None, engine: str | None, context: str | None, host: str | None, words: tuple[str, ...]
) -> int:
    """Copy files between this machine and the environment, as docker cp; a path that begins with : is inside.

    \b
    gpudock env cp model.pt :/tmp/
    gpudock env cp :/var/log/app.log .
    """
    from gpudock.errors import UsageError

    if len(words) != 2 or [word[:1] for word in words].count(":") != 1:
        raise UsageError("Name one path here, and one inside, which begins with :", mend="gpudock env cp FILE :/PLACE")
    session = engine_of(engine, context, host)
    there = meant(session, project)
    paths = (there.id + word if word.startswith(":") else word for word in words)
    return become((*session.client.words, "cp", *paths), dry_run=False)


def _export_tar(
    *,
    project: str | None,
    engine: str | None,
    context: str | None,
    host: str | None,
    output: str | None,
    words: tuple[str, ...],
) -> None:
    """The container's files as one tar, without layers and history, as docker export."""
    from gpudock.cli.output import exported

    session = engine_of(engine, context, host)
    there = meant(session, project, *words)
    exported(session.reading("export", there.id), output or f"{there.name}.tar")


_OUTPUT = Option(("--output", "-o"), "output", "The file; - is standard output.", metavar="FILE")
commit = verb(
    _commit,
    (
        *COMMON,
        Option(("--write", "-y"), "write", "Write into gpudock.yaml without asking.", default=False),
        Option(("--message", "-m"), "message", "Of the image, as docker's.", "", metavar="TEXT"),
    ),
    ("[IMAGE]",),
)
save = verb(_save, (*COMMON, _OUTPUT))
load = verb(
    _load,
    (
        *COMMON,
        Option(
            ("--for",), "machine", "Judge for another machine: a file of `gpudock host snapshot`.", metavar="SNAPSHOT"
        ),
    ),
    ("FILE",),
)
push = verb(_push, COMMON, ("NAME",))
cp = verb(_cp, COMMON, ("SOURCE", "TARGET"))
export_tar = verb(_export_tar, (*COMMON, _OUTPUT), ("[NAME]",))
