"""The image of an environment: built from its lock where it is missing, saved to a file, loaded from one."""

import os
import sys
from typing import TYPE_CHECKING

from gpudock.cli.terminal import say, show

if TYPE_CHECKING:
    from collections.abc import Callable

    from gpudock.env.archive.form import Reader
    from gpudock.env.archive.image import Image as Stored
    from gpudock.env.preparing import Image
    from gpudock.env.project import Project
    from gpudock.env.session import Session

_MIB = 1 << 20


def lock_hash(folder: str) -> str:
    """Of the lock that is there; "" when there is none."""
    from gpudock.env.image import lock, locking

    found = locking.read(folder)
    return lock.digest(found) if found else ""


def built(session: "Session", project: "Project", progress: str, base: str = "", network: str = "") -> "Image":
    """Build it where it is missing, with a lock where there is none."""
    from gpudock.cli import env_build
    from gpudock.env.archive import image
    from gpudock.env.image import lock
    from gpudock.env.preparing import Image

    locked = env_build.lock(session, project, base=base, network=network)
    digest = lock.digest(locked)
    name = project.names.image(digest)
    if image.find(session, name) is None:
        env_build.image(session, project, locked, network=network, progress=progress)
    return Image(name, digest)


def known(session: "Session", project: "Project") -> "tuple[Image, bool]":
    """The image of the lock, and whether it is here; nothing is made. Raises RefusedError where there is no lock."""
    from gpudock.cli.env_build import current
    from gpudock.env.archive import image
    from gpudock.env.image import lock
    from gpudock.env.preparing import Image
    from gpudock.errors import RefusedError

    locked = current(project)
    if locked is None:
        raise RefusedError(
            "It cannot be told yet: there is no gpudock.lock.", why="it names the image", mend="gpudock lock"
        )
    digest = lock.digest(locked)
    name = project.names.image(digest)
    return Image(name, digest), image.find(session, name) is not None


def locked_image(session: "Session", folder: str) -> "tuple[Stored, Project]":
    """The image that was built of a project's lock. Raises RefusedError when it is not here."""
    from gpudock.env import project
    from gpudock.env.archive import image
    from gpudock.env.image import lock, locking
    from gpudock.errors import RefusedError

    loaded = project.load(folder, session.owner.uid)
    locked = locking.read(loaded.folder)
    if locked is None:
        raise RefusedError("There is no image yet: the environment has no lock.", mend="gpudock env build")
    return image.needed(session, loaded.names.image(lock.digest(locked))), loaded


def saved(session: "Session", folder: str, output: str | None) -> None:
    from datetime import UTC, datetime

    from gpudock.env.archive import save
    from gpudock.env.image import lock
    from gpudock.env.naming import LOCK_FILE, RECIPE_FILE
    from gpudock.publish import read_capped

    found, loaded = locked_image(session, folder)
    files = [read_capped(f"{loaded.folder}/{name}", lock.LIMIT) for name in (RECIPE_FILE, LOCK_FILE)]
    texts = save.Texts(loaded.names.name, files[0], files[1], datetime.now(UTC).strftime("%Y-%m-%d"))
    if output == "-":
        save.to_stream(session, found, texts, sys.stdout.buffer.write, lambda _done, _all: None)
        sys.stdout.buffer.flush()
        return
    path = output or f"{loaded.names.name}.gpudock.tar"
    size = save.to_file(session, found, texts, path, _saving())
    show(f"{path}: {size // _MIB} MiB")


def _saving() -> "Callable[[int, int], None]":
    if not sys.stderr.isatty():
        return lambda _done, _all: None

    def progress(done: int, everything: int) -> None:
        sys.stderr.write(f"\rgpudock: saved {done // _MIB} of about {everything // _MIB} MiB ")
        sys.stderr.flush()

    return progress


def loaded(session: "Session", source: str, folder: str, machine: str | None) -> None:
    from gpudock.env.archive.form import Reader
    from gpudock.errors import HostError

    if source == "-":
        _taken(session, Reader(sys.stdin.buffer.read), folder, machine)
        return
    try:
        file = open(source, "rb")  # noqa: SIM115  closed below
    except OSError as error:
        raise HostError(f"{source} cannot be read.", why=error.strerror or str(error)) from error
    with file:
        _taken(session, Reader(file.read), folder, machine)


def _taken(session: "Session", reader: "Reader", folder: str, machine: str | None) -> None:
    """Judge, load, name; the texts last, so that a folder has them only when it has the image."""
    from gpudock import publish
    from gpudock.cli import env_session
    from gpudock.env import naming, owner, recipe_file
    from gpudock.env.archive import load
    from gpudock.env.choose import tables
    from gpudock.env.image import lock, locking
    from gpudock.env.running import engine_error
    from gpudock.errors import RefusedError

    texts = {name: reader.texts[name] for name in (naming.RECIPE_FILE, naming.LOCK_FILE)}
    recipe = recipe_file.parse(texts[naming.RECIPE_FILE].decode(errors="replace"), "gpudock.yaml of the file")
    locked = lock.decode(texts[naming.LOCK_FILE], "gpudock.lock of the file")
    reasons = locking.unfit(locked, env_session.machine(machine, session), tables.load())
    if reasons:
        raise RefusedError("The environment of this file does not run on this machine.", why="; ".join(reasons))
    for name, data in texts.items():
        path = f"{folder}/{name}"
        if os.path.lexists(path) and publish.read_capped(path, lock.LIMIT) != data:
            raise RefusedError(f"{path} is there already, and is another one.", mend="load it in an empty folder: -C")
    names = naming.names(recipe.name, uid=session.owner.uid, folder=os.path.realpath(folder))
    found = load.into_engine(session, reader, _loading())
    reference = names.image(lock.digest(locked))
    tagged = session.ask("tag", found.id, reference)
    if not tagged.ok:
        raise engine_error(session, f"cannot name the image {reference}", tagged)
    with owner.acting(session.owner, folder):
        for name, data in texts.items():
            if not os.path.lexists(f"{folder}/{name}"):
                publish.write(f"{folder}/{name}", data)
    say("next: gpudock up")
    show(reference)


def _loading() -> "Callable[[int], None]":
    if not sys.stderr.isatty():
        return lambda _done: None

    def progress(done: int) -> None:
        sys.stderr.write(f"\rgpudock: verified {done // _MIB} MiB ")
        sys.stderr.flush()

    return progress
