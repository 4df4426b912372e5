"""System calls that Python has no names for. Only what needs one loads this: ctypes costs as much as a whole start."""

import ctypes
import os

# The same numbers on every architecture that NVIDIA has drivers for.
OPEN_TREE, MOVE_MOUNT, FSOPEN, FSCONFIG, FSMOUNT, OPENAT2, MOUNT_SETATTR = 428, 429, 430, 431, 432, 437, 442

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.syscall.restype = ctypes.c_long


def call(number: int, *arguments: "int | bytes | None") -> int:
    """The call's answer: numbers are passed as C longs, bytes and None as pointers. Raises OSError."""
    values = [ctypes.c_long(each) if isinstance(each, int) else ctypes.c_char_p(each) for each in arguments]
    answer: int = _LIBC.syscall(ctypes.c_long(number), *values)
    if answer < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return answer


def unmount(path: bytes, flags: int) -> None:
    """umount2, whose number differs between architectures. Raises OSError."""
    if _LIBC.umount2(path, flags):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
