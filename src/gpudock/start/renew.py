"""The start plan that containers get now. Where it no longer fits the machine, the machine's root has it made anew."""

import os
import time

from gpudock.errors import GpudockError, HostError
from gpudock.start import key, plans, reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpudock.plan.document import Plan
    from gpudock.start.settings import Settings

SPEC_LIMIT = 16 << 20
WAIT = 45.0  # seconds for refresh: with a hanging driver it takes half a minute
_MEND = "sudo gpudock refresh, and start the container again"
_WHOLE = "4294967295"  # users in the machine's own user namespace
_SAID = 4096  # bytes of what refresh says that are read
_TOLD = 1000  # characters of that in a message, which has to have room for what to do
_STEP = 0.01  # seconds


def plan(settings: "Settings") -> "Plan":
    """A plan that fits the machine. Raises GpudockError when there is none and none can be made."""
    try:
        found = _fitting(settings.spec)
    except GpudockError as stale:
        if not may_refresh(settings):
            raise
        refresh(settings, because=stale)
        return _fitting(settings.spec)
    grown = _grown(found)
    if not grown or not may_refresh(settings):
        return found
    # What has come since may be something that refresh does not take in, a broken GPU: then the plan stays good.
    try:
        refresh(settings, because=HostError(grown))
        return _fitting(settings.spec)
    except GpudockError:
        return found


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
        raise HostError(because.what, why=f"{because.why or 'refresh'}; and refresh: {said}", mend=_MEND) from because


def _fitting(spec: str) -> "Plan":
    found = plans.read(_plan_path(spec))
    changed = key.difference(found["key"])
    if changed:
        raise HostError("The start plan no longer fits this machine.", why=changed, mend=_MEND)
    return found


def _plan_path(spec: str) -> str:
    """Out of our CDI specification, whose hook names the plan. It is long, and only this is needed of it."""
    if not os.path.exists(spec):
        raise HostError(
            "GPUs are not set up for containers yet.",
            why=f"{spec} does not exist",
            mend=_MEND + "; where another program's CDI specification is in its place: sudo gpudock refresh --adopt",
        )
    parts = plans.trusted(spec, SPEC_LIMIT).partition(b'"--plan"')[2].split(b'"', 2)
    if len(parts) < 3 or not parts[1].startswith(b"/"):
        raise HostError(f"{spec} names no start plan.", mend=_MEND)
    return os.fsdecode(parts[1])


def _grown(found: "Plan") -> str:
    """What has come to the machine since: a GPU, or a MIG device, that `all` should give too."""
    proc = found["key"]["proc"]
    minors = found["key"]["mig_minors"]
    known = {key.bus_id(bus) for bus in found["key"]["gpus"]}
    for name in _names(f"{proc}/driver/nvidia/gpus"):
        if key.bus_id(name) not in known:
            return f"there is a new GPU at {name}"
    for gpu in found["gpus"]:
        folder = f"{proc}/driver/nvidia/capabilities/gpu{gpu['minor']}/mig"
        for instance in _names(folder):
            for part in _names(f"{folder}/{instance}"):
                if part.startswith("ci") and f"gpu{gpu['minor']}/{instance}/{part}/access" not in minors:
                    return f"GPU {gpu['index']} has a new MIG device {instance}/{part}"
    return ""


def _names(folder: str) -> "list[str]":
    try:
        return os.listdir(folder)
    except OSError:
        return []


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
