"""What /proc/PID/cgroup tells of a process: containers, pod, job and user, in every form that engines and managers use.

Ids are looked for in each part of a path, so it does not matter what stands before them: docker/ID, docker-ID.scope,
libpod-ID.scope/container, libpod_parent/libpod-ID, cri-containerd-ID.scope, crio-ID.scope, PARENT/ID, /../ID. A
container in a container has two; the deepest comes first, and who does not know it asks for the next.

Parts of a path may be made by users: below their own service manager (user@UID.service), and below whatever has an id,
by whoever is in that container. So users, jobs and pods count only at the start of a path, where root makes them.
"""

import re
from typing import NamedTuple

_ID = re.compile(r"^(?:(.*)[-:])?([0-9a-f]{64})(?:\.scope)?$")
_POD = re.compile(r"pod([0-9a-f]{8}(?:[-_]?[0-9a-f]{4}){3}[-_]?[0-9a-f]{12})(?![0-9a-f])")
_UP = r"^(?:/\.\.)*"  # seen from another cgroup namespace
_SLICES = r"(?:/(?!lxc)[^/]+\.slice)"  # of the machine's systemd: users can make none
_KUBELET = re.compile(
    rf"{_UP}/(?:system\.slice/[^/]+/)?(?:kube|pod)"
    r"|^(?:/\.\.)+/(?:burstable|besteffort)/pod"  # seen from a pod's own cgroup namespace
    rf"|{_UP}{_SLICES}*/(?!lxc)[^/]*kubepods[^/]*\.slice/"  # the kubelet's --cgroup-root, by systemd
    r"|^/(?!lxc)[^/.]+/kubepods/"  # and without
)
_SLURM = r"/(?:slurm[^/]*|(?:system\.slice/)?[^/]*slurmstepd\.scope)"
_JOB = re.compile(_UP + _SLURM + r"/(?:uid_([0-9]{1,10})/)?job_([0-9]{1,12})(?:/|$)")
_USER = re.compile(_UP + r"/user\.slice/user-([0-9]{1,10})\.slice(?:/(user@\1\.service))?(?=/|$)")
_ENGINES = (("libpod", "podman"), ("crio", "cri"), ("cri-containerd", "cri"), ("docker", "docker"))
_MADE = re.compile(  # where root alone makes cgroups
    rf"^(?:{_SLICES}+/(?:docker|libpod|libpod-payload)-|/docker/|/libpod_parent/(?:[0-9a-f]{{64}}/)?libpod-)"
    r"([0-9a-f]{64})(?:\.scope)?(?:/|$)"
)
MOST = 8  # ids in a path: containers in containers; more is somebody's joke
UNIFIED = ""  # the "controller" of the one tree of cgroup v2


class Place(NamedTuple):
    ids: tuple[str, ...] = ()  # the deepest first
    engine: str = ""  # that the outermost of them speaks of by its form: "docker", "podman", "cri"
    pod: str = ""  # uid with dashes
    job: str = ""  # of Slurm
    job_uid: int | None = None
    uid: int | None = None  # whose service manager or session it is in
    own: bool = False  # the service manager: cgroups below are of that user's making, whatever they are called
    by_mounts: bool = False  # the ids are from there: its cgroup has none
    paths: tuple[tuple[str, str], ...] = ()  # controller and path


NOWHERE = Place()


def place(text: str) -> Place:
    """Of the contents of /proc/PID/cgroup. Lines that differ between controllers are all looked at."""
    paths: dict[str, str] = {}
    for line in text.split("\n"):  # the kernel refuses this one character in a name, and no other that ends a line
        _, _, rest = line.partition(":")
        controllers, colon, path = rest.partition(":")
        if colon:
            for controller in controllers.split(","):
                paths.setdefault(controller.removeprefix("name="), path.removesuffix(" (deleted)"))
    distinct = list(dict.fromkeys(paths.values()))
    best = max(distinct, key=lambda path: len(_ids(path)), default="")
    job = next((found for path in distinct if (found := _JOB.match(path))), None)
    users = [found for path in distinct if (found := _USER.match(path))]
    return Place(
        ids=_ids(best),
        engine=_engine(_outside(best)),
        pod=next((pod for path in distinct if (pod := _pod(_outside(path)))), ""),
        job=job[2] if job else "",
        job_uid=int(job[1]) if job and job[1] else None,
        uid=int(users[0][1]) if users else None,
        own=any(each[2] for each in users),
        paths=tuple(paths.items()),
    )


def _ids(path: str) -> tuple[str, ...]:
    found = dict.fromkeys(each for _, each in reversed(_ends(path)))
    return tuple(found)[-MOST:]  # of too many the outermost: those were not made inside of others


def _outside(path: str) -> str:
    """The path to the outermost container; what is below is said by whoever is in it."""
    return "/".join(path.split("/")[: next((count for count, _ in _ends(path)), None)])


def _ends(path: str) -> list[tuple[int, str]]:
    """The parts with ids, by their number, and the ids. A pod of podman's, around its containers, is none."""
    parts = path.split("/")
    return [
        (count, match[2])
        for count, part in enumerate(parts, 1)
        if (match := _ID.match(part)) and (match[2] != part or parts[count - 2] != "libpod_parent")
    ]


def _pod(path: str) -> str:
    found = _POD.search(path) if _KUBELET.match(path) else None
    return found[1].replace("_", "-") if found else ""


def _engine(path: str) -> str:
    """By the last part, which has an id, or by its parent, as in /docker/ID and /libpod_parent/libpod-ID."""
    parent, _, part = path.rpartition("/")
    match = _ID.match(part)
    if match is None:
        return ""
    if "kubepods" in path or _pod(path):
        return "cri"
    before = match[1] or parent.rpartition("/")[2]
    return next((engine for prefix, engine in _ENGINES if before.startswith(prefix)), "")


def made(one: Place, container: str) -> bool:
    """Whether it is in this container by a cgroup that an engine made, so that nobody's word is needed for it."""
    return any((match := _MADE.match(path)) and match[1] == container for _, path in one.paths)


def together(one: Place, other: Place, container: str) -> bool:
    """Whether both are in one cgroup of this container: a cgroup elsewhere may have the same name."""
    theirs = dict(other.paths)
    return any(
        container in path and folder(path, container) == folder(theirs.get(controller, ""), container)
        for controller, path in one.paths
    )


def folder(path: str, container: str) -> str:
    """The cgroup of the container itself: its processes may be in a child of it."""
    parts = path.split("/")
    for count, part in enumerate(parts, 1):
        if container in part:
            return "/".join(parts[:count])
    return path
