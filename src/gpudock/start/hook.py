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
from gpudock.start import bundle, device_files, edit, key, lookup, plans, reading
from gpudock.start.rootfs import ReadOnlyError, Rootfs, VolumeError, refuse_links

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpudock.plan.document import Gpu, Plan, Variant

_LINE = 4096  # bytes of a message: runtimes keep all that a hook writes in memory
_MIB = 1 << 20
_LIMITS = (
    (resource.RLIMIT_CPU, 10),  # seconds
    (resource.RLIMIT_AS, 2048 * _MIB),
    (resource.RLIMIT_FSIZE, 64 * _MIB),
    (resource.RLIMIT_NOFILE, 256),
    (resource.RLIMIT_CORE, 0),
)


class CoveringRootfs(Rootfs):
    """What must or can not be written here is mounted over instead, where there is a file to be mounted on."""

    __slots__ = ()

    def publish(self, path: str, data: bytes, mode: int = 0o644) -> None:
        try:
            super().publish(path, data, mode)
        except (ReadOnlyError, VolumeError) as error:
            try:
                covered = self.cover(path, data, mode)
            except OSError as failed:
                error.why += f"; a file cannot be mounted over it: {failed.strerror}"
                covered = False
            if not covered:
                raise

    def cover(self, path: str, data: bytes, mode: int) -> bool:
        """Whether it was mounted over: see cover.put, whose OSError it passes on."""
        from gpudock.start import cover  # noqa: PLC0415  loads ctypes, which hardly any container needs

        try:
            target = self._resolve(self.fd, path)
        except OSError:
            return False
        try:
            return cover.put(self.fd, target, data, mode)
        finally:
            os.close(target)


def main(argv: "list[str]") -> int:
    """`argv`: [--withhold-device-files] [--lookup NAME] --plan FILE, or the first alone. The container's state comes on
    stdin. Returns the exit code.
    """
    try:
        notes = _prepare(argv)
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


class _Wanted:
    """The hook's command line."""

    __slots__ = ("look_up", "plan", "withhold")

    def __init__(self, argv: "list[str]") -> None:
        self.look_up, self.plan, self.withhold = "walk", "", False
        rest = argv[::-1]
        while rest:
            word = rest.pop()
            if word == device_files.FLAG:
                self.withhold = True
            elif word in {"--plan", "--lookup"} and rest:
                setattr(self, "plan" if word == "--plan" else "look_up", rest.pop())
            else:
                raise _usage()
        if not self.plan.startswith("/") and (self.plan or not self.withhold):
            raise _usage()


def _usage() -> UsageError:
    return UsageError("This hook wants --plan and the absolute path of a start plan.", mend="sudo gpudock refresh")


def _prepare(argv: "list[str]") -> "list[str]":
    _confine()
    wanted = _Wanted(argv)
    resolve = lookup.choose(wanted.look_up)
    root_path = bundle.rootfs_path(reading.upto(0, bundle.STATE_LIMIT))
    plan = plans.read(wanted.plan) if wanted.plan else None
    root = CoveringRootfs(root_path, resolve)  # from here on nothing is opened by path
    refuse_links(root)
    if wanted.withhold:
        device_files.withhold(root)
    if plan is None:
        return []
    changed = key.difference(plan["key"], root.stat)
    if changed:
        raise HostError(
            "The start plan no longer fits this machine.",
            why=changed,
            mend="sudo gpudock refresh, and start the container again",
        )
    return edit.apply(root, plan, _variant(plan, root), _gpus(plan, root))


def _confine() -> None:
    """Nothing inherited but stdin, stdout and stderr; a working directory outside of the image; bounds on the rest."""
    _hide()
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


def _hide() -> None:
    """Make /proc/PID/exe, descriptors and memory of this process root's alone, as PR_SET_DUMPABLE 0 does.

    That would need ctypes, which costs as much as the whole hook. The kernel does it too when the effective group
    changes (to fs.suid_dumpable, 0 or 2 on every machine but those where somebody debugs set-user-ID programs).
    """
    group = os.getegid()
    try:
        os.setegid(group + 1)
    except OSError:  # a user namespace that has one group only: outside of it nobody but its owner may look
        return
    os.setegid(group)


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


def _gpus(plan: "Plan", root: Rootfs) -> "list[Gpu]":
    """Those that the engine gave to the container; a MIG instance comes with its GPU's node."""
    return [gpu for gpu in plan["gpus"] if root.stat(f"/dev/nvidia{gpu['minor']}")]


def _is(found: os.stat_result, folder: str) -> bool:
    try:
        tree = os.stat(folder)
    except OSError:  # a variant that nobody uses any more
        return False
    return (found.st_dev, found.st_ino) == (tree.st_dev, tree.st_ino)
