"""What tests may leave on the machine: seen before and after, compared, and told as a list of differences."""

import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

from real.harness import mounts, processes

_PREFIX = "gpudock-session-"  # of the session's temporary folder
_WATCHED = (
    *(
        "/var/run/cdi",
        "/etc/cdi",
        "/var/lib/gpudock",
        "/run/gpudock",
        "/usr/libexec/gpudock",
        "/opt/gpudock",
        "/etc/gpudock",
    ),
    *("/etc/docker", "/etc/containers", "/etc/cni", "/etc/systemd/system", "/etc/udev/rules.d", "/usr/local/nvidia"),
)
# Programs write these as they run; the folder above goes when it is empty.
_BLOB_CACHE = "/var/lib/containers/cache/blob-info-cache-v1"
_ENGINES_LEAVE = (
    *(
        "/etc/cni/net.d/cni.lock",
        "/etc/docker/key.json",
        "/etc/docker",
        "/run/containerd/s",
        "/run/containerd",
        "/run/docker/plugins",
        "/run/docker",
    ),
    *(
        "/run/runc",
        "/run/netns",
        f"{_BLOB_CACHE}.boltdb",
        f"{_BLOB_CACHE}.sqlite",
        "/var/lib/containers/cache",
        "/var/lib/containers",
    ),
)
_NAMESPACES = Path("/run/netns")
CGROUP = f"gpudock-tests-{os.getpid()}"  # in which the session's bundles have theirs
# Of tools/real_tests.py: another part runs beside this one. What both have under one name is looked at after both.
PART = "GPUDOCK_TESTS_PART" in os.environ
_ENGINE_CGROUPS = (CGROUP,) if PART else ("docker", "libpod_parent/conmon", "libpod_parent", CGROUP)


@dataclass(frozen=True)
class Machine:
    mounts: frozenset[str]
    processes: frozenset[str]
    files: frozenset[str]
    traces: frozenset[str]
    interfaces: frozenset[str]
    cgroups: frozenset[str]
    devices: frozenset[str]
    settings: frozenset[str]

    @classmethod
    def snapshot(cls, folder: Path) -> "Machine":
        """The machine now; folder: the session's own, which may be mounted in, run from and still be there."""
        return cls(
            mounts=frozenset(_mounts()),
            processes=frozenset(f"{process.pid} {process.command}" for process in processes.of_folder(folder)),
            files=frozenset(line for path in _WATCHED for line in _tree(path)),
            traces=frozenset(path for path in _ENGINES_LEAVE if os.path.lexists(path)),
            interfaces=frozenset(os.listdir("/sys/class/net")),
            cgroups=frozenset() if PART else frozenset(str(path) for path in _cgroups()),
            devices=frozenset(name for name in os.listdir("/dev") if name.startswith("nvidia")),
            settings=frozenset({"ip_forward " + Path("/proc/sys/net/ipv4/ip_forward").read_text().strip()}),
        )

    def differences(self, now: "Machine") -> list[str]:
        found: list[str] = []
        for field in fields(self):
            before: frozenset[str] = getattr(self, field.name)
            after: frozenset[str] = getattr(now, field.name)
            found += [f"{field.name}: left behind: {item}" for item in sorted(after - before)]
            found += [f"{field.name}: gone: {item}" for item in sorted(before - after)]
        return found


def settled_differences(before: Machine, folder: Path, patience: float = 5.0) -> list[str]:
    """Differences that are still there after `patience` seconds: what an engine does late is not left behind."""
    deadline = time.monotonic() + patience
    while True:
        found = before.differences(Machine.snapshot(folder))
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.2)


class EngineTraces:
    """Empty folders and small files outside their own that engines make and never remove."""

    def __init__(self) -> None:
        """Remembers which are there already: they are not ours to remove."""
        self._there = {path for path in self._all() if path.exists()}
        self._namespaces_mounted = mounts.below(_NAMESPACES)

    def remove(self) -> None:
        if not self._namespaces_mounted:  # podman mounts the folder on itself
            mounts.unmount_below(_NAMESPACES)
        for path in self._all():
            if path in self._there or not path.exists():
                continue
            if str(path).startswith("/sys/fs/cgroup/"):
                _remove_cgroups(path)
            elif path.is_dir():
                if not any(path.iterdir()):
                    path.rmdir()
            else:
                path.unlink()

    @staticmethod
    def _all() -> list[Path]:
        cgroups = [path / name for name in _ENGINE_CGROUPS for path in hierarchies()]
        return [Path(path) for path in _ENGINES_LEAVE] + cgroups


def session_folder() -> Path:
    """A new private folder with a short path: the names of sockets in it may not exceed 107 bytes.

    The caller is the only session on this machine: what others have left is of sessions that were killed, and goes.
    """
    clear_stale(Path(tempfile.gettempdir()))
    return Path(tempfile.mkdtemp(prefix=_PREFIX))


def clear_stale(temporary: Path) -> None:
    """What sessions have left that were killed."""
    for stale in temporary.glob(_PREFIX + "*"):
        clear(stale)
    clear_cgroups()


def clear_part(folder: Path) -> None:
    """What is left of a part whose /tmp was FOLDER/tmp."""
    for stale in folder.glob(f"tmp/{_PREFIX}*"):
        processes.end(processes.of_folder(Path("/tmp", stale.name)), patience=2)
    clear(folder)


def clear_cgroups() -> None:
    """Removes the cgroups of sessions that were killed, after what still runs in them."""
    stale = [each for hierarchy in hierarchies() for each in hierarchy.glob("gpudock-tests-*")]
    for top in stale:
        if Path("/proc", top.name.rpartition("-")[2]).exists():
            continue
        for path, _, _ in os.walk(top, topdown=False):
            processes.end(processes.of_cgroup(Path(path)), patience=1)
        _remove_cgroups(top)


def _remove_cgroups(top: Path) -> None:
    """Removes a cgroup and those in it, as docker/buildkit, which the builder never removes."""
    for path, _, _ in os.walk(top, topdown=False):
        _remove_cgroup(Path(path))


def _remove_cgroup(path: Path, patience: float = 10.0) -> None:
    deadline = time.monotonic() + patience
    while True:
        try:
            return path.rmdir()
        except OSError:  # a process that was killed is in there until it is waited for
            if time.monotonic() > deadline:
                raise
        time.sleep(0.05)


def clear(folder: Path) -> None:
    """Removes a folder after what runs from it and what is mounted in it."""
    processes.end(processes.of_folder(folder), patience=2)
    mounts.unmount_below(folder)
    shutil.rmtree(folder)


def _mounts() -> Iterator[str]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        head, _, tail = line.partition(" - ")
        yield f"{head.split()[4]} ({tail.split()[0]} {tail.split()[1]}, from {head.split()[3]})"


def _tree(top: str) -> Iterator[str]:
    """One line for each thing at and below a path: kind, mode, and for files size and time of change, for links the target."""
    paths = [top]
    while paths:
        path = paths.pop()
        try:
            status = os.lstat(path)
            if stat.S_ISDIR(status.st_mode):
                paths += [os.path.join(path, name) for name in os.listdir(path)]
            target = os.readlink(path) if stat.S_ISLNK(status.st_mode) else ""
        except FileNotFoundError:
            continue
        regular = f" {status.st_size} bytes of {status.st_mtime_ns}" if stat.S_ISREG(status.st_mode) else ""
        yield f"{path} {stat.filemode(status.st_mode)}{regular}{target and ' -> ' + target}"


def hierarchies() -> list[Path]:
    """Roots of the cgroup hierarchies: one, or one for each controller and one beside them."""
    root = Path("/sys/fs/cgroup")
    if (root / "cgroup.procs").exists():
        return [root]
    return [path for path in root.iterdir() if not path.is_symlink() and path.is_mount()]


def _cgroups() -> Iterator[Path]:
    for hierarchy in hierarchies():
        yield from (path for path in hierarchy.iterdir() if path.is_dir())
