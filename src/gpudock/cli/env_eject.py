"""`gpudock env eject`: an environment as files that need no gpudock."""

import os

from gpudock.cli import env_session
from gpudock.cli.env_here import engine_of
from gpudock.cli.env_words import verb
from gpudock.cli.run import WHICH_ENGINE
from gpudock.cli.terminal import show
from gpudock.cli.verb import Option

_FOLDERS = {"dockerfile": "eject", "compose": "eject", "devcontainer": ".devcontainer"}


def _eject(
    *,
    folder: str | None,
    output: str | None,
    base: str,
    network: str,
    engine: str | None,
    context: str | None,
    host: str | None,
    words: tuple[str, ...],
) -> int:
    """Write the environment as files that work without gpudock: dockerfile, compose or devcontainer.

    dockerfile: the Dockerfile with the locked packages and the entry, a folder to build. compose: the same with a
    compose file. devcontainer: the same with devcontainer.json, for VS Code and other tools. A folder with files in it
    is not touched.

    \b
    gpudock env eject dockerfile && docker build eject
    gpudock env eject devcontainer
    """
    from gpudock.cli.env_build import lock
    from gpudock.cli.env_lock import pull
    from gpudock.env import owner
    from gpudock.env.image import build, eject
    from gpudock.errors import RefusedError, UsageError
    from gpudock.publish import write

    if len(words) != 1 or words[0] not in _FOLDERS:
        raise UsageError("What is to be written?", mend=f"gpudock env eject {'|'.join(_FOLDERS)}")
    project = env_session.project(folder)
    if project.recipe.dockerfile is not None:
        raise RefusedError("There is nothing to write.", why="your own Dockerfile makes this environment's image")
    target = os.path.join(project.folder, output or _FOLDERS[words[0]])
    if os.path.isdir(target) and os.listdir(target):
        raise RefusedError(f"{target} has files in it.", mend="name another folder: -o FOLDER")
    session = engine_of(engine, context, host)
    locked = lock(session, project, base=base, network=network)
    written = build.context(session, project, locked, buildkit=False, pull=pull)
    if words[0] == "compose":
        written = eject.compose(project.recipe, project.names, written)
    elif words[0] == "devcontainer":
        written = eject.devcontainer(project.recipe, project.names, written)
    with owner.acting(session.owner, project.folder):
        for name, (text, mode) in written.files.items():
            write(os.path.join(target, name), text.encode(), mode)
    for name in written.files:
        show(os.path.join(target, name))
    return 0


eject = verb(
    _eject,
    (
        Option(("--output", "-o"), "output", "The folder. [default: eject, .devcontainer]", metavar="FOLDER"),
        Option(("--base",), "base", "The base image, where gpudock.yaml names none.", default="", metavar="IMAGE"),
        env_session.NETWORK,
        env_session.FOLDER,
        *WHICH_ENGINE,
    ),
    ("dockerfile|compose|devcontainer",),
)
