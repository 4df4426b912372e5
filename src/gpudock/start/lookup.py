"""The two ways to look something up in an untrusted root. They answer alike; tests hold them against each other."""

import errno
import os

from gpudock.errors import InputError
from gpudock.start import walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

    Resolve = Callable[..., int]

NAMES = ("walk", "openat2")
_MISSING = (errno.ENOSYS, errno.EPERM)  # an old kernel, an old seccomp filter


def choose(name: str) -> "Resolve":
    """For Rootfs(resolve=...). Where the kernel has no openat2, the walk takes its place. Raises InputError."""
    if name not in NAMES:
        raise InputError(f"lookup is {name!r:.40}.", why=f"known are {', '.join(NAMES)}")
    if name == "walk":
        return walk.resolve
    from gpudock.start import openat2  # noqa: PLC0415  loads ctypes

    return openat2.resolve if is_usable(openat2.resolve) else walk.resolve


def is_usable(resolve: "Resolve") -> bool:
    """Whether this kernel lets this process look up "/" so."""
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.close(resolve(root, "."))
    except OSError as error:
        if error.errno not in _MISSING:
            raise
        return False
    finally:
        os.close(root)
    return True
