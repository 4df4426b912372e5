"""The images of environments in an engine's store."""

from typing import NamedTuple

from gpudock.engine import containers, labels
from gpudock.env import naming
from gpudock.env.archive import image
from gpudock.env.session import Session
from gpudock.errors import EngineError, RefusedError, UsageError
from gpudock.plan.quote import quote


class Stored(NamedTuple):
    """What labels say is a claim of whoever made the image."""

    id: str
    names: tuple[str, ...]
    environment: str
    owner: str
    uid: str
    project: str
    lock: str
    size: int
    used: tuple[str, ...]  # containers that have it, running or not


def stored(session: Session, *, everybody: bool = False) -> tuple[Stored, ...]:
    """The images of this user's environments; `everybody`: of all. Raises EngineError."""
    told = session.ask("images", "--quiet", "--no-trunc", "--filter", f"label={labels.ENV}")
    if not told.ok:
        raise EngineError("The engine does not list its images.", why=quote(told.err.strip(), 300))
    used: dict[str, list[str]] = {}
    for each in containers.listed(session.client, session.run, stopped=True):
        used.setdefault(each.image_id, []).append(each.name)
    found = []
    for identity in dict.fromkeys(told.out.split()):
        one = image.find(session, identity.removeprefix("sha256:"))
        if one is not None and (everybody or mine(one.labels, session.owner.uid)):
            found.append(_stored(one, tuple(used.get(one.id, ()))))
    return tuple(found)


def mine(told: dict[str, str], uid: int) -> bool:
    return told.get(labels.OWNER_UID) == str(uid)


def _stored(one: image.Image, used: tuple[str, ...]) -> Stored:
    told = one.labels
    keys = (labels.ENV, labels.OWNER, labels.OWNER_UID, labels.PROJECT, labels.LOCK)
    environment, owner, uid, project, lock = (told.get(key, "") for key in keys)
    return Stored(one.id, one.names, environment, owner, uid, project, lock, one.size, used)


def remove(session: Session, name: str, *, everybody: bool = False) -> Stored:
    """Take an image away, by environment, name or id. Raises RefusedError for one in use, UsageError for none."""
    found = [each for each in stored(session, everybody=True) if _is(each, name)]
    allowed = [each for each in found if everybody or each.uid == str(session.owner.uid)]
    if not allowed:
        theirs = ", ".join(quote(each.owner) for each in found)
        raise UsageError(
            f"You have no image {quote(name)} of an environment.",
            why=f"it is {theirs}'s" if theirs else "",
            mend="gpudock env images shows them",
        )
    if len(allowed) > 1:
        raise UsageError(
            f"{quote(name)} stands for {len(allowed)} images.",
            why=", ".join(each.names[0] if each.names else each.id[:12] for each in allowed),
            mend="name one of them",
        )
    (one,) = allowed
    if one.used:
        raise RefusedError(
            f"The image {quote(name)} is in use.",
            why="by " + ", ".join(map(quote, one.used)),
            mend="gpudock env rm, or docker rm, first",
        )
    for each in one.names or (one.id,):  # without force: what got a container meanwhile stays
        done = session.ask("image", "rm", each, timeout=600.0)
        if not done.ok:
            raise EngineError(f"The image {quote(each)} stays.", why=quote(" ".join(done.err.split()), 300))
    return one


def _is(each: Stored, name: str) -> bool:
    names = {word for full in each.names for word in (full, full.removeprefix("localhost/"))}
    return name in {each.environment, *names} or (len(name) >= naming.SHORTEST_ID and each.id.startswith(name))
