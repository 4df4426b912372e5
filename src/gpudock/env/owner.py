"""Who an environment belongs to: the person, also behind sudo, by the kernel's word."""

import os
import pwd
from collections.abc import Mapping
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
