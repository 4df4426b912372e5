"""Where made files lie while a compose program reads them: a private folder that a reboot empties, never the user's."""

import contextlib
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping

from gpudock import publish
from gpudock.errors import RefusedError

FOLDER = "gpudock-compose"
KEPT = 7 * 86400.0  # seconds; `up` in the foreground has read its files long before


class Store:
    """A folder for the files made from one project, named by what they are made of: twice the same is one."""

    def __init__(self, run: str, *of: str) -> None:
        digest = hashlib.sha256("\0".join(of).encode(errors="replace")).hexdigest()[:16]
        self.folder = f"{run}/{FOLDER}/{digest}"

    def path(self, name: str, number: int) -> str:
        """A file's place; `number` keeps files of one name apart."""
        base = os.path.basename(name) if name.endswith((".yml", ".yaml")) else "docker-compose.yml"
        return f"{self.folder}/{number}-{base}"


def write(texts: Mapping[str, str], elsewhere: Callable[[str, bytes], None]) -> None:
    """Write files: those in a store's folder for this user alone, others by `elsewhere`.

    Raises HostError, and RefusedError where others could change the files.
    """
    for path, text in texts.items():
        folder = os.path.dirname(path)
        base = os.path.dirname(folder)
        if os.path.basename(base) != FOLDER:
            elsewhere(path, text.encode())
            continue
        publish.make_folder(base, 0o700)
        danger = publish.insecure(base)
        if danger:
            raise RefusedError(
                f"Compose files must not be kept in {base}.", why=danger, mend="set GPUDOCK_RUN_DIR to another folder"
            )
        _tidy(base)
        publish.make_folder(folder, 0o700)
        os.utime(folder)
        publish.write(path, text.encode(), 0o600)


def _tidy(base: str) -> None:
    """A call does not outlive itself: it has become the compose program. So the next one removes what it has left."""
    old = time.time() - KEPT
    with contextlib.suppress(OSError):  # another one tidies at the same time
        for entry in os.scandir(base):
            if entry.is_dir(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_mtime < old:
                shutil.rmtree(entry.path, ignore_errors=True)


def folder_for(*places: str) -> str:
    """The first of these folders that can be made or is there, or a temporary one."""
    for place in places:
        parent = place
        while not os.path.exists(parent):
            parent = os.path.dirname(parent)
        if os.path.isdir(parent) and os.access(parent, os.W_OK):
            return place
    return tempfile.mkdtemp(prefix="gpudock-")
