"""Which fixed folders follow the driver: one small file beside the volumes, and the links themselves."""

import os

import msgspec

from gpudock import publish
from gpudock.errors import InputError

_LIMIT = 1 << 16  # bytes


def _path(volumes: str) -> str:
    return f"{volumes}/static.json"


def read(volumes: str) -> list[str]:
    """The fixed folders. Raises InputError."""
    try:
        return msgspec.json.decode(publish.read_capped(_path(volumes), _LIMIT), type=list[str])
    except FileNotFoundError:
        return []
    except (OSError, msgspec.MsgspecError) as error:
        mend = "remove it, and name the folders again: gpudock volume create --static FOLDER"
        raise InputError(f"{_path(volumes)} cannot be read.", why=str(error), mend=mend) from error


def write(volumes: str, folders: list[str]) -> None:
    publish.write(_path(volumes), msgspec.json.encode(folders))


def target(folder: str) -> str | None:
    """What the link `folder` leads to; None when it is no link."""
    try:
        return os.readlink(folder)
    except OSError:
        return None


def leading_to(volumes: str, volume: str) -> list[str]:
    """The fixed folders that show this volume now."""
    return [folder for folder in read(volumes) if target(folder) == volume]
