"""The createContainer hook: prepares the rootfs of a container that an engine gave GPUs to by a CDI specification.

It runs as root, in the container's mount namespace before pivot_root, beside files that the image's author chose. So it
starts nothing, loads nothing once it has begun, follows no path of the image but through descriptors, and reads no
environment variable. Whatever goes wrong is one line on stderr and an exit code, and the runtime refuses the container.
"""

import gc
import os
import resource

from gpudock.errors import GpudockError, HostError, RefusedError, UsageError
from gpudock.plan.document import MOUNT_POINT
from gpudock.start import bundle, edit, key, plans, reading
from gpudock.start.rootfs import Rootfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpudock.plan.document import Plan, Variant

_LINE = 4096  # bytes of a message: runtimes keep all that a hook writes in memory
_MIB = 1 << 20
_LIMITS = (
    (resource.RLIMIT_CPU, 10),  # seconds
    (resource.RLIMIT_AS, 2048 * _MIB),
    (resource.RLIMIT_FSIZE, 64 * _MIB),
    (resource.RLIMIT_NOFILE, 256),
    (resource.RLIMIT_CORE, 0),
)


def main(argv: "list[str]") -> int:
    """`argv` is --plan FILE; the container's state comes on stdin. Returns the exit code."""
    try:
        notes = _prepare(_plan_path(argv))
    except GpudockError as error:
        say(str(error))
        return error.exit_code
    except Exception as error:  # noqa: BLE001  a traceback would go into the user's terminal and the daemon's log
        say(f"unexpected {type(error).__name__}: {error}")
        return 1
    if notes:
        say("note: " + "; ".join(notes))
    return 0


def say(text: str) -> None:
    """One line on stderr, whatever names or messages of others are in it."""
    shown = "".join(character if character.isprintable() else "?" for character in text)
    os.write(2, ("gpudock-hook: " + shown).encode(errors="replace")[: _LINE - 1] + b"\n")


def _plan_path(argv: "list[str]") -> str:
    if len(argv) != 2 or argv[0] != "--plan" or not argv[1].startswith("/"):
        raise UsageError("This hook wants --plan and the absolute path of a start plan.", mend="sudo gpudock refresh")
    return argv[1]


def _prepare(plan_path: str) -> "list[str]":
    _confine()
    root_path = bundle.rootfs_path(reading.upto(0, bundle.STATE_LIMIT))
    plan = plans.read(plan_path)
    root = Rootfs(root_path)
    changed = key.difference(plan["key"], root.stat)
    if changed:
        raise HostError(
            "The start plan no longer fits this machine.",
            why=changed,
            mend="sudo gpudock refresh, and start the container again",
        )
    return edit.apply(root, _variant(plan, root), library_links=plan["library_links"])


def _confine() -> None:
    """Nothing inherited but stdin, stdout and stderr; a working directory outside of the image; bounds on the rest.

    PR_SET_DUMPABLE is left alone: it needs ctypes, which costs as much as the whole hook. What it would hide from the
    container is this process's /proc/PID/exe and memory; the container's own processes do not exist yet.
    """
    gc.disable()  # too short a life to need it
    os.chdir("/")
    os.umask(0o022)
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            os.closerange(int(name), int(name) + 1)  # not close: one of them was the listing's own
    for kind, amount in _LIMITS:
        soft, hard = resource.getrlimit(kind)
        bound = min((limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY), default=amount)
        resource.setrlimit(kind, (min(amount, bound), hard))


def _variant(plan: "Plan", root: Rootfs) -> "Variant":
    """The variant whose tree the engine has mounted. The tree itself tells it: a hook is told nothing else."""
    found = root.stat(MOUNT_POINT)
    for variant in plan["variants"].values():
        if found and _is(found, variant["folder"]):
            return variant
    raise RefusedError(
        f"The driver tree is not mounted at {MOUNT_POINT}.",
        why="a volume covers it, or the container's request for GPUs was made for another start plan",
        mend=f"mount no volume on {MOUNT_POINT} or above it",
    )


def _is(found: os.stat_result, folder: str) -> bool:
    try:
        tree = os.stat(folder)
    except OSError:  # a variant that nobody uses any more
        return False
    return (found.st_dev, found.st_ino) == (tree.st_dev, tree.st_ino)
