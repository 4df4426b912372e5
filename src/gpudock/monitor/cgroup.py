"""What /proc/PID/cgroup tells of a process: containers, pod, job and user, in every form that engines and managers use.

Ids are looked for in each part of a path, so it does not matter what stands before them: docker/ID, docker-ID.scope,
libpod-ID.scope/container, libpod_parent/libpod-ID, cri-containerd-ID.scope, crio-ID.scope, PARENT/ID, /../ID. A
container in a container has two; the deepest comes first, and who does not know it asks for the next.
"""

import re
from typing import NamedTuple

_ID = re.compile(r"^(?:(.*)[-:])?([0-9a-f]{64})(?:\.scope)?$")
_POD = re.compile(r"pod([0-9a-f]{8}(?:[-_]?[0-9a-f]{4}){3}[-_]?[0-9a-f]{12})(?![0-9a-f])")
_JOB = re.compile(r"/(?:slurm[^/]*|[^/]*slurmstepd\.scope)/(?:uid_([0-9]{1,10})/)?job_([0-9]{1,12})(?:/|$)")
_USER = re.compile(r"/user(?:@([0-9]{1,10})\.service|-([0-9]{1,10})\.slice)(?=/|$)")
_ENGINES = (("libpod", "podman"), ("crio", "cri"), ("cri-containerd", "cri"), ("docker", "docker"))
MOST = 8  # ids in a path: containers in containers; more is somebody's joke
UNIFIED = ""  # the "controller" of the one tree of cgroup v2


class Place(NamedTuple):
    ids: tuple[str, ...] = ()  # the deepest first
    engine: str = ""  # that the form of the path speaks of: "docker", "podman", "cri"
    pod: str = ""  # uid with dashes
    job: str = ""  # of Slurm
    job_uid: int | None = None
    uid: int | None = None  # whose service manager or session it is in
    by_mounts: bool = False  # the ids are from there: its cgroup has none
    paths: tuple[tuple[str, str], ...] = ()  # controller and path


NOWHERE = Place()


def place(text: str) -> Place:
    """Of the contents of /proc/PID/cgroup. Lines that differ between controllers are all looked at."""
    paths: dict[str, str] = {}
    for line in text.splitlines():
        _, _, rest = line.partition(":")
        controllers, colon, path = rest.partition(":")
        if colon:
            for controller in controllers.split(","):
                paths.setdefault(controller.removeprefix("name="), path.removesuffix(" (deleted)"))
    distinct = list(dict.fromkeys(paths.values()))
    best = max(distinct, key=lambda path: len(_ids(path)), default="")
    job = next((found for path in distinct if (found := _JOB.search(path))), None)
    return Place(
        ids=_ids(best),
        engine=_engine(best),
        pod=next((found[1].replace("_", "-") for path in distinct if (found := _POD.search(path))), ""),
        job=job[2] if job else "",
        job_uid=int(job[1]) if job and job[1] else None,
        uid=next((uid for path in distinct if (uid := _user(path)) is not None), None),
        paths=tuple(paths.items()),
    )


def _ids(path: str) -> tuple[str, ...]:
    found = [match[2] for part in reversed(path.split("/")) if (match := _ID.match(part))]
    return tuple(dict.fromkeys(found))[:MOST]


def _engine(path: str) -> str:
    """By the part with the deepest id, or by its parent, as in /docker/ID and /libpod_parent/libpod-ID."""
    parts = path.split("/")
    for place_, part in reversed(list(enumerate(parts))):
        if match := _ID.match(part):
            before = match[1] or (parts[place_ - 1] if place_ else "")
            if "kubepods" in path:
                return "cri"
            return next((engine for prefix, engine in _ENGINES if before.startswith(prefix)), "")
    return ""


def _user(path: str) -> int | None:
    found = _USER.findall(path)
    return int(found[-1][0] or found[-1][1]) if found else None


def folder(path: str, container: str) -> str:
    """The cgroup of the container itself: its processes may be in a child of it."""
    parts = path.split("/")
    for count, part in enumerate(parts, 1):
        if container in part:
            return "/".join(parts[:count])
    return path
