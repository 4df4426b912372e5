"""Writing a result where the user said: a file is replaced whole, anything else (a device, a pipe) is written into."""

import os
import stat
import sys

from gpudock.errors import HostError


def write(path: str, data: bytes) -> None:
    """`path` "-" is standard output. The folder must be there: a mistyped path makes no folders. Raises HostError."""
    if path == "-":
        sys.stdout.buffer.write(data)
        return
    real = os.path.realpath(path)
    folder = os.path.dirname(real)
    if not os.path.isdir(folder):
        raise HostError(
            f"{path} cannot be written.", why=f"there is no folder {folder}", mend="make it, or mend the path"
        )
    try:
        kind = os.stat(real).st_mode
    except FileNotFoundError:
        kind = stat.S_IFREG
    if stat.S_ISREG(kind):
        from gpudock import publish

        publish.write(real, data)
        return
    try:
        with open(real, "wb") as file:
            file.write(data)
    except OSError as error:
        raise HostError(f"{path} cannot be written.", why=error.strerror or str(error)) from error
