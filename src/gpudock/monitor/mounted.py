"""The container of a process whose cgroup names none, as with Podman of a user on cgroup v1: by what is mounted in it.

Engines mount files that they made for the container (its host name, its hosts file), from a folder with the id.
"""

import re

from gpudock.host.root import Root

# /var/lib/docker/containers/ID/hostname, .../overlay-containers/ID/userdata/hosts
_SOURCE = re.compile(r"/(?:containers|[a-z0-9]+-containers)/([0-9a-f]{64})/(?:userdata/)?[a-z.]+$")
_TARGETS = ("/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/run/.containerenv")


def ids(proc: Root, pid: int) -> tuple[str, ...]:
    """Container ids, or none for a process that sees the same mounts as we do."""
    theirs = proc.readlink(f"/{pid}/ns/mnt")
    if theirs is not None and theirs == proc.readlink("/self/ns/mnt"):
        return ()
    return _ids(proc.text(f"/{pid}/mountinfo", 1 << 20) or "")


def _ids(mountinfo: str) -> tuple[str, ...]:
    found = []
    for line in mountinfo.split("\n"):
        words = line.split(" ", 5)
        if len(words) == 6 and words[4] in _TARGETS and (match := _SOURCE.search(words[3])):
            found.append(match[1])
    return tuple(dict.fromkeys(found))[:1]
