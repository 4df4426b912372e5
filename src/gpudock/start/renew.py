"""Where the start plan no longer fits the machine, the machine's root has it made anew."""

import os
import time

from gpudock.errors import GpudockError, HostError
from gpudock.start import current, oci, plans, reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpudock.start.settings import Settings

WAIT = 45.0  # seconds for refresh: with a hanging driver it takes half a minute
_WHOLE = "4294967295"  # users in the machine's own user namespace
_SAID = 4096  # bytes of what refresh says that are read
_TOLD = 1000  # characters of that in a message, which has to have room for what to do
_STEP = 0.01  # seconds
_AGAIN = 600.0  # seconds; a GPU that was broken may have been reset


def may_refresh(settings: "Settings") -> bool:
    """Only the machine's root, by the program in root's hands: a user's copy, or a container's root, must not."""
    if not settings.refresh or os.geteuid() != 0:
        return False
    words = reading.file("/proc/self/uid_map", _SAID).decode().split()
    return words == ["0", "0", _WHOLE] and os.access(settings.refresh[0], os.X_OK)


def refresh(settings: "Settings", *options: str, because: GpudockError) -> None:
    """Run `gpudock refresh` and wait for it, but not for ever. Raises HostError, which says `because` of what."""
    code, said = _run((*settings.refresh, *options), settings.environment)
    if code != 0:
        raise HostError(
            because.what, why=f"{because.why or 'refresh'}; and refresh: {said}", mend=current.MEND
        ) from because


def was_in_vain(settings: "Settings", grown: str) -> bool:
    """Whether refresh has left out this very thing not long ago."""
    path = _note(settings)
    try:
        same = plans.trusted(path, _SAID) == _text(grown)
        return same and 0 <= time.time() - os.stat(path).st_mtime < _AGAIN
    except (GpudockError, OSError):
        return False


def note_in_vain(settings: "Settings", grown: str) -> None:
    try:
        oci.put(_note(settings), _text(grown), 0o644, (0, 0))
    except GpudockError:  # a full disk: then the next start asks again
        return


def _note(settings: "Settings") -> str:
    return settings.specs[-1] + ".left-out"


def _text(grown: str) -> bytes:
    return grown.encode(errors="replace")[:_SAID]


def _run(command: "tuple[str, ...]", environment: "Mapping[str, str]") -> "tuple[int, str]":
    """Exit code, and the first line on stderr. Whatever hangs is ended."""
    reading_end, writing_end = os.pipe()
    child = os.fork()
    if child == 0:
        _become(command, environment, writing_end)
    os.close(writing_end)
    os.set_blocking(reading_end, False)
    said = b""
    try:
        end = time.monotonic() + WAIT
        while time.monotonic() < end:
            said = (said + _available(reading_end))[:_SAID]
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                said = (said + _available(reading_end))[:_SAID]
                first = said.decode(errors="replace").strip().replace("\n", " ")[:_TOLD]
                return os.waitstatus_to_exitcode(status), first or f"it failed with status {status}"
            time.sleep(_STEP)
        _end(child)
        return 124, f"it took longer than {WAIT:.0f} seconds"
    except ChildProcessError:  # whoever started this program ignores the end of children: the plan will tell
        return 0, ""
    finally:
        os.close(reading_end)


def _end(child: int) -> None:
    """It and all that it started. One that hangs in the driver cannot be waited for."""
    try:
        os.killpg(child, 9)
    except ProcessLookupError:  # it has not come to setsid yet
        os.kill(child, 9)
    for _ in range(int(1 / _STEP)):
        if os.waitpid(child, os.WNOHANG)[0]:
            return
        time.sleep(_STEP)


def _become(command: "tuple[str, ...]", environment: "Mapping[str, str]", errors: int) -> None:
    """In the child: the program, with nothing of this process but its stderr. Never returns."""
    try:
        os.setsid()
        os.chdir("/")
        os.umask(0o022)
        nothing = os.open("/dev/null", os.O_RDWR)
        os.dup2(nothing, 0)
        os.dup2(nothing, 1)
        os.dup2(errors, 2)
        for name in os.listdir("/proc/self/fd"):
            if int(name) > 2:
                os.closerange(int(name), int(name) + 1)
        os.execve(command[0], command, {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", **environment})
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}".encode())
    finally:
        os._exit(127)


def _available(fd: int) -> bytes:
    """Always read, kept or not: a full pipe would stop the program."""
    try:
        return os.read(fd, 1 << 16)
    except BlockingIOError:
        return b""
