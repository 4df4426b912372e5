"""Look-up in an untrusted root, component by component: links are resolved inside, and nobody can swap a part later.

Answers as openat2 with RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS does, without needing it (Linux 5.6) or ctypes. Each
folder passed stays open, so `..` goes back to where the walk came from, even if that folder was moved meanwhile.
Two differences remain, and neither leads out: the kernel's rule on links in sticky folders of others
(fs.protected_symlinks) is not applied, and all links deeper in procfs are taken for magic ones.
"""

import errno
import os
import stat

from gpudock.start import mounts, paths

LINKS = 40  # the kernel's own limit
LONGEST = 4096  # bytes of a path with its end: PATH_MAX
_PROC_TOP = 1  # inode
PLAIN = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
FOLDER = PLAIN | os.O_DIRECTORY


def resolve(root: int, path: str, *, follow: bool = True) -> int:
    """An O_PATH descriptor of `path` inside the folder `root`; the caller closes it.

    With follow=False a link in the last place is opened itself. Raises OSError as the kernel would: ENOENT, ENOTDIR
    (something behind a file, even "." or a slash), ELOOP (too many links, or a magic link of procfs).
    """
    if not path:
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    if len(path) >= LONGEST // 4 and len(paths.encoded(path)) >= LONGEST:
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), path)
    todo = path.split("/")[::-1]
    passed = [root]
    links, is_folder = 0, True  # whether what was passed last is one
    try:
        while todo:
            part = todo.pop()
            if part in {"", ".", ".."}:
                if not is_folder:
                    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
                if part == ".." and len(passed) > 1:
                    os.close(passed.pop())
                continue
            fd, mode = _open(part, passed[-1], last=not todo)
            passed.append(fd)
            is_folder = stat.S_ISDIR(mode)
            if stat.S_ISLNK(mode) and (follow or todo):
                links += 1
                target = _target(passed, path, links)
                os.close(passed.pop())
                is_folder = True
                if target.startswith("/"):
                    _close(passed, keep=1)
                todo.extend(reversed(target.split("/")))
        return passed.pop() if len(passed) > 1 else os.dup(root)
    finally:
        _close(passed, keep=1)


def _open(part: str, folder: int, *, last: bool) -> "tuple[int, int]":
    """The descriptor and its mode. On the way nearly all are folders: those need no second look."""
    if not last:
        try:
            return os.open(part, FOLDER, dir_fd=folder), stat.S_IFDIR
        except NotADirectoryError:  # a file or a link
            pass
    fd = os.open(part, PLAIN, dir_fd=folder)
    return fd, os.fstat(fd).st_mode


def _target(passed: "list[int]", path: str, links: int) -> str:
    """Of the link that was passed last."""
    if links > LINKS or _is_magic(passed[0], passed[-2], passed[-1]):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
    return os.readlink("", dir_fd=passed[-1])


def _is_magic(root: int, folder: int, link: int) -> bool:
    """Links of procfs lead where the kernel wants, not where their text says; but "self" and its like on top do not."""
    if os.fstat(link).st_dev == os.fstat(root).st_dev:
        return False
    number = mounts.mount_id(link)
    if number == mounts.mount_id(root):  # overlayfs gives files other device numbers than folders
        return False
    mount = mounts.find(number)
    return mount is None or (mount.kind == "proc" and os.fstat(folder).st_ino != _PROC_TOP)


def _close(passed: "list[int]", *, keep: int) -> None:
    while len(passed) > keep:
        os.close(passed.pop())
