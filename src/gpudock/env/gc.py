"""Images of environments that nobody needs any more, and what removing them really frees. Pure but for the asking.

An image's own size says little: what it shares with others stays. Layers are told apart by the engine's history of
each image, which begins alike for all images that were built on the same ones.
"""

import hashlib
import os
from collections.abc import Collection, Sequence
from typing import NamedTuple

from gpudock.engine import containers, labels
from gpudock.env.archive import image
from gpudock.env.session import Session
from gpudock.errors import EngineError

_FORMAT = "{{.Size}}\t{{.CreatedAt}}\t{{.CreatedBy}}"


class Layer(NamedTuple):
    key: str  # of the history up to and with it
    size: int


class Held(NamedTuple):
    """An image of this user's environments, the newest of a project first."""

    id: str
    name: str  # its id's beginning when it has none
    project: str
    layers: tuple[Layer, ...]

    @property
    def size(self) -> int:
        return sum(layer.size for layer in self.layers)


class Freed(NamedTuple):
    image: Held
    why: str
    freed: int  # by removing it together with those before it
    shared: int  # stays, because images that are kept have it too


def sweep(
    ours: Sequence[Held], others: Collection[str], used: Collection[str], gone: Collection[str]
) -> tuple[Freed, ...]:
    """What can go. `others`: keys of layers of all other images. `used`: ids of images that any container has. `gone`:
    projects whose folder is no longer there. The newest image of every other project stays.
    """
    seen: set[str] = set()
    going: list[tuple[Held, str]] = []
    for each in ours:
        newest = each.project not in seen
        seen.add(each.project)
        if each.id in used:
            continue
        if each.project in gone:
            going.append((each, "its project's folder is gone"))
        elif not newest:
            going.append((each, "there is a newer one of its project"))
    ids = {each.id for each, _ in going}
    kept = set(others) | {layer.key for each in ours if each.id not in ids for layer in each.layers}
    found = []
    for each, why in going:
        own = [layer for layer in each.layers if layer.key not in kept]
        kept_size = sum(layer.size for layer in each.layers) - sum(layer.size for layer in own)
        found.append(Freed(each, why, sum(layer.size for layer in own), kept_size))
        kept |= {layer.key for layer in own}
    return tuple(found)


def history(text: str) -> tuple[Layer, ...]:
    """The layers of `history`, the oldest first: lines of size, time and command, the newest first."""
    key = ""
    found = []
    for line in reversed(text.splitlines()):
        size, _, rest = line.partition("\t")
        key = hashlib.sha256(f"{key}\0{rest}".encode(errors="replace")).hexdigest()
        if size.isdecimal() and int(size):
            found.append(Layer(key, int(size)))
    return tuple(found)


def look(session: Session) -> tuple[Freed, ...]:
    """What can go of this user's images. Raises EngineError."""
    listed = session.ask("images", "--all", "--quiet", "--no-trunc")
    if not listed.ok:
        raise EngineError("The engine does not list its images.", why=listed.err.strip()[-300:])
    ids = [each.removeprefix("sha256:") for each in dict.fromkeys(listed.out.split())]
    marked = session.ask("images", "--quiet", "--no-trunc", "--filter", f"label={labels.OWNER_UID}={session.owner.uid}")
    wanted = {each.removeprefix("sha256:") for each in marked.out.split()}
    ours = [_held(session, each) for each in ids if each in wanted]
    others = {layer.key for each in ids if each not in wanted for layer in _layers(session, each)}
    used = {each.image_id for each in containers.listed(session.client, session.run, stopped=True)}
    projects = {each.project for each in ours}
    gone = set() if session.remote else {each for each in projects if not os.path.isdir(each)}
    return sweep(ours, others, used, gone)


def _held(session: Session, identity: str) -> Held:
    found = image.needed(session, identity)
    name = found.names[0] if found.names else identity[:12]
    return Held(identity, name, found.labels.get(labels.PROJECT, ""), _layers(session, identity))


def _layers(session: Session, identity: str) -> tuple[Layer, ...]:
    return history(session.ask("history", "--no-trunc", "--human=false", "--format", _FORMAT, identity).out)


def remove(session: Session, freed: Freed) -> str:
    """ "" when it is gone, else why not. By its id and without force: one that got a container meanwhile stays."""
    found = image.find(session, freed.image.id)
    names = found.names if found else ()
    for each in names or (freed.image.id,):
        done = session.ask("image", "rm", each, timeout=600.0)
        if not done.ok:
            return " ".join(done.err.split())[:300]
    return ""
