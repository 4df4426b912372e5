"""Look-up in an untrusted root by the kernel itself (Linux 5.6 and later): the twin of walk.resolve."""

import errno
import os
import struct

from gpudock.start import paths, syscalls, walk

TRIES = 128  # a rename somewhere on the machine lets a look-up with `..` start again
_IN_ROOT, _NO_MAGICLINKS = 0x10, 0x02
_AGAIN = (errno.EAGAIN, errno.EXDEV, errno.EINTR)
_HOW = struct.Struct("=QQQ")  # flags, mode, resolve


def resolve(root: int, path: str, *, follow: bool = True) -> int:
    """As walk.resolve, which answers where the kernel finds no quiet moment: on a busy machine that does happen.

    Raises OSError with ENOSYS or EPERM where the kernel, or a seccomp filter, has no openat2.
    """
    name = paths.encoded(path)
    if b"\0" in name:
        raise ValueError("embedded null byte")
    flags = os.O_PATH | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    how = _HOW.pack(flags, 0, _IN_ROOT | _NO_MAGICLINKS)
    tries = TRIES
    while True:
        try:
            return syscalls.call(syscalls.OPENAT2, root, name, how, _HOW.size)
        except OSError as error:  # noqa: PERF203  it goes round only when something was moved
            if error.errno not in _AGAIN:
                raise OSError(error.errno, error.strerror, path) from None
            tries -= 1
            if not tries:
                return walk.resolve(root, path, follow=follow)
