"""Who an environment belongs to: the person, also behind sudo, by the kernel's word."""

import contextlib
import os
import pwd
from collections.abc import Iterator, Mapping
from typing import NamedTuple


class Owner(NamedTuple):
    uid: int
    gid: int
    name: str


def owner(environment: Mapping[str, str], uid: int, gid: int) -> Owner:
    """`uid`, `gid`: the process's real ones. Only root is believed in what sudo says: anybody can set a variable."""
    if uid == 0:
        sudo_uid, sudo_gid = environment.get("SUDO_UID", ""), environment.get("SUDO_GID", "")
        if sudo_uid.isdecimal() and sudo_gid.isdecimal():
            uid, gid = int(sudo_uid), int(sudo_gid)
    return Owner(uid, gid, _name(uid))


def here(environment: Mapping[str, str]) -> Owner:
    return owner(environment, os.getuid(), os.getgid())


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user{uid}"


@contextlib.contextmanager
def acting(who: Owner, folder: str) -> Iterator[None]:
    """What root does for somebody in a folder of theirs is done with that person's rights, and is theirs. In root's own
    folder, which nobody else can change on the way, it stays root's. Nothing may be imported in it: that person need
    not be able to read the folder of gpudock.
    """
    if os.geteuid() != 0 or who.uid == 0 or _owner(folder) == 0:
        yield
        return
    groups, gid = os.getgroups(), os.getegid()
    os.setgroups(_groups(who))
    os.setegid(who.gid)
    os.seteuid(who.uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(gid)
        os.setgroups(groups)


def _owner(folder: str) -> int:
    """Of the folder, or of the one that it is going to be made in."""
    while not os.path.exists(folder):
        folder = os.path.dirname(folder)
    return os.stat(folder).st_uid


def _groups(who: Owner) -> list[int]:
    """A folder may be open to one of the person's groups only."""
    try:
        return os.getgrouplist(pwd.getpwuid(who.uid).pw_name, who.gid)
    except KeyError:
        return [who.gid]
