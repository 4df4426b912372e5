"""What gpudock remembers of an environment between its starts: token and password, in a file that nobody else reads."""

import os
from collections.abc import Mapping

import msgspec

from gpudock import publish
from gpudock.errors import RefusedError

_LIMIT = 1 << 16


class State(msgspec.Struct, frozen=True, omit_defaults=True):
    token: str = ""
    password: str = ""  # its hash, as Jupyter reads it
    vnc: str = ""


def folder(environment: Mapping[str, str], euid: int) -> str:
    """Root's own for root, also behind sudo: root follows no path that a user could change."""
    if euid == 0:
        return (environment.get("GPUDOCK_STATE_DIR") or "/var/lib/gpudock") + "/env"
    home = environment.get("XDG_STATE_HOME") or environment.get("HOME", "/") + "/.local/state"
    return home + "/gpudock/env"


def load(place: str, key: str) -> State:
    """An empty one when there is none, or when it is not to be trusted."""
    path = f"{place}/{key}.json"
    if not os.path.lexists(path):
        return State()
    if not publish.kept_by_us(path):
        raise RefusedError(f"{path} is not yours alone.", why="it holds a token", mend="remove it")
    try:
        return msgspec.json.decode(publish.read_capped(path, _LIMIT), type=State)
    except msgspec.MsgspecError:
        return State()


def save(place: str, key: str, state: State) -> None:
    publish.make_folder(place, 0o700)
    publish.write(f"{place}/{key}.json", msgspec.json.encode(state), 0o600)


def forget(place: str, key: str) -> None:
    path = f"{place}/{key}.json"
    if os.path.lexists(path):
        os.unlink(path)
