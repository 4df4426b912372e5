"""Which mount a descriptor lies on. Volumes are mounts inside the rootfs, and st_dev does not tell a bind mount."""

import os

from gpudock.start import paths, reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

_LIMIT = 64 << 20  # bytes; busy hosts have ten thousands of mounts


def mount_id(fd: int) -> int:
    """The kernel's number of the mount that `fd` lies on. Raises OSError when /proc does not say."""
    info = os.open(f"/proc/self/fdinfo/{fd}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        number = os.read(info, 1024).partition(b"\nmnt_id:\t")[2].partition(b"\n")[0]  # always whole at once
    finally:
        os.close(info)
    if not number.isdigit():
        raise OSError(f"/proc/self/fdinfo/{fd} names no mount")
    return int(number)


class Mount:
    """A line of /proc/self/mountinfo: where it is mounted, the type, and whether mounts on it are seen elsewhere."""

    __slots__ = ("kind", "point", "shared")

    def __init__(self, point: str, kind: str, *, shared: bool) -> None:
        self.point = point
        self.kind = kind
        self.shared = shared


def find(number: int) -> "Optional[Mount]":
    """The mount with that mount_id; None when this process cannot see it."""
    for line in _lines("/proc/self/mountinfo"):
        fields, _, rest = line.partition(" - ")
        words = fields.split(" ")
        if words[0] == str(number):
            shared = any(word.startswith("shared:") for word in words[6:])
            return Mount(_unescaped(words[4]), rest.split(" ")[0], shared=shared)
    return None


def _unescaped(path: str) -> str:
    """The kernel writes blanks, newlines and backslashes as \\ooo."""
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        path = path.replace(code, character)
    return path


def _lines(path: str) -> "list[str]":
    return paths.decoded(reading.file(path, _LIMIT)).split("\n")
