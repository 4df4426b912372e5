"""Writing a result where the user said: a file is replaced whole, anything else (a device, a pipe) is written into."""

import os
import stat
import sys

from gpudock.errors import HostError


def write(path: str, data: bytes) -> None:
    """`path` "-" is standard output. The folder must be there: a mistyped path makes no folders. Raises HostError."""
    if path == "-":
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        why = f"there is no folder {folder}"
        raise HostError(f"{path} cannot be written.", why=why, mend="make it, or name another")
    if _is_plain(path):
        from gpudock import publish

        publish.write(path, data)
        return
    try:
        with open(path, "wb") as file:
            file.write(data)
    except OSError as error:
        raise HostError(f"{path} cannot be written.", why=error.strerror or str(error)) from error


def _is_plain(path: str) -> bool:
    """A file, or nothing yet. A link is opened, so that the kernel's protection against planted ones holds."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except FileNotFoundError:
        return True
