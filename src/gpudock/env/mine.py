"""Whose environment a container is. Names and labels are claims: any user of an engine can write any of them, so a
container is only taken for somebody's when name, key, user and folder agree, and nobody else's is touched.
"""

from collections.abc import Iterable

from gpudock.engine import containers, labels
from gpudock.engine.containers import Container
from gpudock.env import naming
from gpudock.env.naming import Names
from gpudock.env.session import Session
from gpudock.errors import RefusedError, UsageError
from gpudock.plan.quote import quote


def find(session: Session, names: Names, folder: str) -> Container | None:
    """The environment's container. Raises RefusedError for somebody else's of that name."""
    found = containers.inspected(session.client, [names.container], session.run)
    if not found:
        return None
    if found[0].name != names.container or not belongs(found[0], session.owner.uid) or project(found[0]) != folder:
        raise RefusedError(
            f"The container {names.container} is not this environment's.",
            why=f"it says that it belongs to uid {quote(found[0].labels.get(labels.OWNER_UID, 'nobody'))}, "
            f"folder {quote(found[0].labels.get(labels.PROJECT, 'none'))}",
            mend="ask its owner, or give your environment another name in gpudock.yaml",
        )
    return found[0]


def every(session: Session, *, everybody: bool = False) -> tuple[Container, ...]:
    """The environments of this user, running or not; `everybody`: of all."""
    who = () if everybody else (f"label={labels.OWNER_UID}={session.owner.uid}",)
    found = containers.listed(session.client, session.run, stopped=True, filters=(f"label={labels.ENV}", *who))
    return found if everybody else tuple(each for each in found if belongs(each, session.owner.uid))


def named(session: Session, name: str) -> Container:
    """This user's environment of that name, in whatever folder. Raises UsageError."""
    return one(name, every(session))


def one(name: str, mine: Iterable[Container]) -> Container:
    candidates = list(mine)
    found = [each for each in candidates if name in {each.labels.get(labels.ENV), each.name}]
    if len(found) == 1:
        return found[0]
    if found:
        folders = ", ".join(quote(project(each)) for each in found)
        raise UsageError(
            f"You have several environments called {quote(name)}.",
            why=f"in {folders}",
            mend="name the container instead: gpudock env ls shows them",
        )
    known = ", ".join(sorted(quote(each.labels.get(labels.ENV, "")) for each in candidates)) or "none"
    raise UsageError(f"You have no environment called {quote(name)}.", why=f"yours: {known}", mend="gpudock env ls")


def belongs(container: Container, uid: int) -> bool:
    """Whether everything that it says of itself fits this user: label, and the key in its name."""
    told = container.labels
    expected = naming.Names(told.get(labels.ENV, ""), naming.key(uid, told.get(labels.PROJECT, "")))
    return told.get(labels.OWNER_UID) == str(uid) and container.name == expected.container


def project(container: Container) -> str:
    return container.labels.get(labels.PROJECT, "")
