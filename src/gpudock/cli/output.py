"""Writing a result where the user said: a file is replaced whole, anything else (a device, a pipe) is written into."""

import contextlib
import os
import stat
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager

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


def exported(reading: AbstractContextManager[Callable[[int], bytes]], path: str) -> None:
    """A stream of any length into a file, which is there only when all of it is: `reading` ended without an error.

    Raises HostError.
    """
    if path == "-":
        with reading as read:
            while data := read(1 << 20):
                sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    staging = f"{path}.{os.urandom(6).hex()}.part"
    try:
        with open(staging, "xb") as file, contextlib.ExitStack() as kept:
            kept.callback(os.unlink, staging)
            with reading as read:
                while data := read(1 << 20):
                    file.write(data)
            file.flush()
            os.rename(staging, path)
            kept.pop_all()
    except OSError as error:
        raise HostError(f"{path} cannot be written.", why=error.strerror or str(error)) from error
