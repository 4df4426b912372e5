"""Who is behind a process: what the kernel says of a user comes before what a label claims, and that before root."""

from typing import Protocol

from gpudock.engine import labels
from gpudock.engine.containers import Container
from gpudock.monitor.cgroup import Place
from gpudock.monitor.sample import Owner, Pod

LONGEST = 64
SERVICE = "com.docker.swarm.service.name"
PROJECT, COMPOSE_SERVICE = "com.docker.compose.project", "com.docker.compose.service"
PODMAN_PROJECT = "io.podman.compose.project"


class Names(Protocol):
    def name(self, uid: int) -> str: ...

    def holder(self, uid: int) -> tuple[str, int | None] | None: ...


def text(container: Container | None, *keys: str) -> str:
    """The first of these labels that a container has, cut to what is shown of one."""
    found = () if container is None else (container.labels.get(key, "") for key in keys)
    return next((each[:LONGEST] for each in found if each), "")


def engine_user(place: Place, uid: int | None, names: Names) -> int:
    """Whose engine may know the container: 0 for the machine's own. Nobody gets into another user's engine by a cgroup
    or a mount that he made himself and named after a container there. What root started is the machine's, also in a
    user's session; but whose service manager it is below may have made the cgroup.
    """
    if not place.by_mounts:
        return place.uid or 0 if place.own else 0
    if not uid:
        return 0
    holder = names.holder(uid)
    return place.uid or (holder[1] if holder is not None and holder[1] is not None else uid)


def owner(place: Place, container: Container | None, pod: Pod | None, uid: int | None, names: Names) -> Owner | None:
    """`uid`: of the process, on the host. None: nothing is known of it."""
    return (
        _by_kernel(place, uid, names) or _by_label(container, names) or _by_group(container, pod) or _by_uid(uid, names)
    )


def _by_kernel(place: Place, uid: int | None, names: Names) -> Owner | None:
    """A job's cgroup, a user's own engine, and root by sudo in a user's session: no label makes it somebody else's."""
    if place.job_uid is not None:
        return Owner(name=names.name(place.job_uid), uid=place.job_uid, source="job")
    user = place.uid or engine_user(place, uid, names) if place.ids or not uid else 0
    if not user:
        return None
    return Owner(name=names.name(user), uid=user, source="path" if place.uid else "subuid")


def _by_label(container: Container | None, names: Names) -> Owner | None:
    claimed = text(container, labels.OWNER)
    number = text(container, labels.OWNER_UID)
    uid = int(number) if number.isascii() and number.isdecimal() and len(number) < 11 else None
    if not claimed and uid is None:
        return None
    known = names.name(uid) if uid is not None else ""
    return Owner(name=(claimed or known) if known.startswith("#") else known or claimed, uid=uid, source="label")


def _by_group(container: Container | None, pod: Pod | None) -> Owner | None:
    if service := text(container, SERVICE):
        return Owner(name=service, source="service")
    if project := text(container, PROJECT, PODMAN_PROJECT):
        return Owner(name=project, source="compose")
    if pod is not None:
        return Owner(name=f"{pod.namespace}/{pod.name}" if pod.name else f"pod {pod.uid[:8]}", source="pod")
    return None


def _by_uid(uid: int | None, names: Names) -> Owner | None:
    if uid is None:
        return None
    if (holder := names.holder(uid)) is not None:
        return Owner(name=holder[0], uid=holder[1], source="subuid")
    return Owner(name=names.name(uid), uid=uid, source="process")
