"""Token and password of an environment, shown and changed."""

import os
from collections.abc import Mapping

import msgspec

from gpudock.engine.containers import Container
from gpudock.env import inside, mine, project, running, state
from gpudock.env.services import fill, password, secret
from gpudock.env.session import Session
from gpudock.errors import RefusedError
from gpudock.proc import Command


def changed(session: Session, there: Container, environment: Mapping[str, str], *, password: str, new: bool) -> str:
    """The token, after what was asked for was done. A running service is started again to take what is new."""
    loaded = project.load(mine.project(there), session.owner.uid)
    place = state.folder(environment, os.geteuid())
    found = (
        running.kept(session, there, place, loaded.names.key) if there.running else state.load(place, loaded.names.key)
    )
    if new:
        found = msgspec.structs.replace(found, token=_token())
    if password:
        found = msgspec.structs.replace(secret.with_token(found), password=password)
    if not found.token:
        raise RefusedError("The environment has no token yet.", why="it was never started", mend="gpudock up")
    if new or password:
        state.save(place, loaded.names.key, found)
        if there.running:
            files = secret.files(loaded.recipe, found, loaded.folder, environment)
            fill.fill(session, there, files, *running.inside(there))
            _again(session, there)
    return found.token


def _again(session: Session, there: Container) -> None:
    """End the services that hold a token, which the container then starts again. As their user: root in a container may
    not look at other users' processes.
    """
    script = "for p in /proc/[0-9]*; do grep -qs -e JUPYTER_TOKEN_FILE $p/environ && kill -TERM ${p#/proc/}; done; true"
    session.run(Command(inside.command(session, there, ("/bin/sh", "-c", script), root=False)))


def _token() -> str:
    return password.token()
