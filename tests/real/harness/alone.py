"""A function run in a process of its own, with mounts that nobody else sees and that are gone when it ends."""

import ctypes
import os
import sys
import traceback
from collections.abc import Callable

_CLONE_NEWNS = 0x00020000
_MS_REC, _MS_PRIVATE = 0x4000, 1 << 18


def alone(work: Callable[[], object], *, user: int = 0) -> None:
    """Raises AssertionError with the traceback when `work` raised. `user`: the id to change to before."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(reader)
            _private_mounts()
            if user:
                os.setgroups([])
                os.setresgid(user, user, user)
                os.setresuid(user, user, user)
            work()
            code = 0
        except BaseException:  # noqa: BLE001  the parent raises it
            os.write(writer, traceback.format_exc().encode()[-60_000:])
        finally:
            sys.stderr.flush()
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read().decode()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status == 0, said or f"ended with {status}"


def _private_mounts() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    for failed in (
        libc.unshare(_CLONE_NEWNS),
        libc.mount(b"none", b"/", None, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), None),
    ):
        if failed:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
