"""Mounts a generated file over one that must not be written: in a volume, or in a container that is read-only already.

The hook works in the container's own mount namespace, so such a mount is seen there alone and goes with the container.
Nothing is mounted by path, and the tmpfs that holds the file is attached only for as long as the kernel wants that.
"""

import os
import stat
import struct

from gpudock.start import mounts, syscalls

_FSOPEN_CLOEXEC = _FSMOUNT_CLOEXEC = _OPEN_TREE_CLONE = 1
_SET_STRING, _CREATE = 1, 6  # of fsconfig
_FROM_EMPTY, _TO_EMPTY, _AT_EMPTY = 0x04, 0x40, 0x1000  # the descriptor itself, no path from it
_READ_ONLY, _NO_SUID, _NO_DEV = 1, 2, 4
_PRIVATE = 1 << 18
_DETACH = 2
_ATTRIBUTES = struct.pack("=QQQQ", _READ_ONLY | _NO_SUID | _NO_DEV, 0, _PRIVATE, 0)
_LABEL = "security.selinux"


def put(root: int, target: int, data: bytes, mode: int) -> bool:
    """Let the file that O_PATH descriptor `target` leads to be `data`. `root`: the rootfs, a mount of its own.

    False when nothing was done: the target is no plain file, or a mount on it would be seen outside of the container.
    Raises OSError, also where the kernel is older than 5.12.
    """
    if not stat.S_ISREG(os.fstat(target).st_mode) or any(_is_shared(each) for each in (root, target)):
        return False
    folder = _tmpfs()
    try:
        _write(folder, data, mode, target)
        file = _file_of(folder, root)
        try:
            syscalls.call(syscalls.MOUNT_SETATTR, file, b"", _AT_EMPTY, _ATTRIBUTES, len(_ATTRIBUTES))
            _move(file, target)
        finally:
            os.close(file)
    finally:
        os.close(folder)
    return True


def _is_shared(fd: int) -> bool:
    mount = mounts.find(mounts.mount_id(fd))
    return mount is None or mount.shared


def _tmpfs() -> int:
    context = syscalls.call(syscalls.FSOPEN, b"tmpfs", _FSOPEN_CLOEXEC)
    try:
        syscalls.call(syscalls.FSCONFIG, context, _SET_STRING, b"mode", b"0755", 0)
        syscalls.call(syscalls.FSCONFIG, context, _CREATE, None, None, 0)
        return syscalls.call(syscalls.FSMOUNT, context, _FSMOUNT_CLOEXEC, _NO_SUID | _NO_DEV)
    finally:
        os.close(context)


def _write(folder: int, data: bytes, mode: int, like: int) -> None:
    fd = os.open("file", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        os.fchmod(fd, mode)
        try:
            label = os.getxattr(f"/proc/self/fd/{like}", _LABEL)
        except OSError:  # a machine without SELinux
            return
        os.setxattr(fd, _LABEL, label)
    finally:
        os.close(fd)


def _file_of(folder: int, place: int) -> int:
    """The file as a mount of its own, not attached yet. Before Linux 6.15 it can be had from an attached one only."""
    _move(folder, place)
    try:
        return syscalls.call(syscalls.OPEN_TREE, folder, b"file", _OPEN_TREE_CLONE | os.O_CLOEXEC)
    finally:
        syscalls.unmount(b"/proc/self/fd/%d" % folder, _DETACH)


def _move(mount: int, place: int) -> None:
    syscalls.call(syscalls.MOVE_MOUNT, mount, b"", place, b"", _FROM_EMPTY | _TO_EMPTY)
