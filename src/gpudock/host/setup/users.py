"""Users: who asks, who may use docker, and who has subordinate ids."""

import grp
import os
import pwd

from gpudock.facts.base import Missing
from gpudock.facts.setup import Caller, SubIds
from gpudock.host.plain import one_line
from gpudock.host.root import Root
from gpudock.host.surroundings import Surroundings

MEMBERS = 64
_PROXIES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
_REMAPPED = "dockremap"


def caller(around: Surroundings) -> Caller:
    uid = os.geteuid()
    environment = around.environment
    return Caller(
        uid=uid,
        name=_user(uid),
        groups=tuple(sorted(map(_group, {*os.getgroups(), os.getegid()}))),
        proxies=tuple(name for name in _PROXIES if environment.get(name)),
        no_proxy=bool(environment.get("no_proxy") or environment.get("NO_PROXY")),
    )


def _user(uid: int) -> str:
    try:
        return one_line(pwd.getpwuid(uid).pw_name)
    except KeyError:
        return str(uid)


def _group(gid: int) -> str:
    try:
        return one_line(grp.getgrgid(gid).gr_name)
    except KeyError:
        return str(gid)


def docker_group(machine: Root) -> tuple[str, ...] | Missing:
    for line in (machine.text("/etc/group") or "").splitlines():
        name, _, rest = line.partition(":")
        if name == "docker":
            members = rest.rpartition(":")[2].split(",")
            return tuple(one_line(member) for member in members if member)[:MEMBERS]
    return Missing("there is no group docker")


def subids(machine: Root, users: list[str]) -> tuple[SubIds, ...]:
    """Of these users and of the one that userns-remap takes by default."""
    uids, gids = _counted(machine, "/etc/subuid"), _counted(machine, "/etc/subgid")
    return tuple(
        SubIds(user=user, uids=uids.get(user, 0), gids=gids.get(user, 0))
        for user in dict.fromkeys((*users, _REMAPPED))
        if user != _REMAPPED or user in uids or user in gids
    )


def _counted(machine: Root, path: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for line in (machine.text(path) or "").splitlines():
        user, _, rest = line.partition(":")
        count = rest.partition(":")[2].strip()
        if user and count.isdecimal() and len(count) < 12:
            counts[user] = counts.get(user, 0) + int(count)
    return counts
