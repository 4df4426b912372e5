"""Docker's data in another folder: copied while docker stands still, the old folder kept."""

import os
import shutil
from typing import NamedTuple

from gpudock import proc, publish
from gpudock.errors import HostError, RefusedError
from gpudock.plan.quote import quote

PATIENCE = 24 * 3600.0
SPARE = 1 << 30  # bytes that have to stay free
SYSTEM = ("/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/run", "/sbin", "/sys", "/usr")
BAD_FILE_SYSTEMS = ("tmpfs", "nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "vfat", "exfat", "9p", "drvfs")
COPYING = ".gpudock-copying"  # beside the new folder, until the copy is whole


class Move(NamedTuple):
    """`copy` False: there is nothing to copy, or it has been copied."""

    old: str
    new: str
    copy: bool

    def describe(self) -> str:
        if not self.copy:
            return ""
        return f"copy {self.old} to {self.new} while docker stands still; {self.old} is kept"

    def apply(self, run: proc.Runner) -> None:
        """Whole or not at all: copied under another name, then renamed. Raises HostError."""
        if not self.copy:
            return
        staging = self.new + COPYING
        publish.make_folder(os.path.dirname(self.new))
        shutil.rmtree(staging, ignore_errors=True)  # of a copy that was interrupted
        command = ("cp", "--archive", "--sparse=auto", "--reflink=auto", "--", self.old, staging)
        answer = run(proc.Command(command, timeout=PATIENCE))
        if not answer.ok:
            shutil.rmtree(staging, ignore_errors=True)
            lines = answer.err.strip().splitlines() or [f"exit code {answer.code}"]
            raise HostError(f"{self.old} could not be copied to {self.new}.", why=quote(lines[-1], 300))
        try:
            os.sync()
            os.rename(staging, self.new)  # an empty folder of that name gives way
        except OSError as error:
            shutil.rmtree(staging, ignore_errors=True)
            raise HostError(f"{self.new} could not be put in place.", why=error.strerror or str(error)) from error

    def take_back(self) -> None:
        """What was copied goes; the old folder was never touched, and the new one was empty before."""
        if self.copy:
            shutil.rmtree(self.new, ignore_errors=True)

    @property
    def after(self) -> str:
        return f"when all is well, free the old folder's space: sudo rm -rf {self.old}" if self.copy else ""


def plan(old: str, new: str, mounts: str, *, size: int | None = None) -> Move:
    """`mounts`: the text of /proc/mounts; `size` of the old folder in bytes, measured when not given.

    Raises RefusedError where docker's data must not lie, or do not fit.
    """
    new = os.path.normpath(new)
    if os.path.realpath(old) == os.path.realpath(new):
        return Move(old, new, copy=False)
    inside = os.path.commonpath((os.path.realpath(old), os.path.realpath(new)))
    if inside in {os.path.realpath(old), os.path.realpath(new)} or new.startswith(tuple(f"{each}/" for each in SYSTEM)):
        raise RefusedError(
            f"Docker's data must not lie in {quote(new)}.", why="other files are there", mend="name another"
        )
    problem = publish.insecure(new) if os.geteuid() == 0 else None
    if problem:
        raise RefusedError(
            f"Docker's data must not lie in {quote(new)}.", why=problem, mend="let only root write there"
        )
    kind = file_system(new, mounts)
    if kind in BAD_FILE_SYSTEMS:
        why = f"it would be on {kind}, which forgets it, or has not what overlay needs"
        raise RefusedError(f"Docker's data must not lie in {quote(new)}.", why=why, mend="use ext4, xfs or btrfs")
    if os.path.isdir(new) and os.listdir(new):
        mend = "empty it, or name another folder"
        raise RefusedError(f"{quote(new)} is not empty.", why="docker's data would be mixed with it", mend=mend)
    if not os.path.isdir(old) or not os.listdir(old):
        return Move(old, new, copy=False)
    needed = _size(old) if size is None else size
    here = _nearest(new)
    free = os.statvfs(here).f_bavail * os.statvfs(here).f_frsize
    if needed + SPARE > free:
        why = f"{old} has {needed >> 20} MiB, {here} has {free >> 20} MiB free"
        raise RefusedError(
            f"Docker's data do not fit into {quote(new)}.", why=why, mend="docker system prune, or more space"
        )
    return Move(old, new, copy=True)


def file_system(path: str, mounts: str) -> str:
    """The kind of the mount that the path lies on."""
    found, best = "", -1
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) < 3:
            continue
        point = fields[1].replace("\\040", " ")
        if (path + "/").startswith(point.rstrip("/") + "/") and len(point) >= best:
            found, best = fields[2], len(point)
    return found


def _nearest(path: str) -> str:
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def _size(folder: str) -> int:
    total = 0
    for here, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(here, name)).st_blocks * 512
            except OSError:  # gone meanwhile
                continue
    return total
