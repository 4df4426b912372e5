"""The name that docker looks for on dockerd's PATH before it allows --gpus: a link to our program of that name."""

import contextlib
import os
from typing import NamedTuple

from gpudock import publish
from gpudock.engine.configure.wish import HOOK
from gpudock.errors import HostError
from gpudock.host.root import Root

PREFERRED = ("/usr/local/bin", "/usr/local/sbin")


class LinkChange(NamedTuple):
    """`after` None: the link goes."""

    path: str
    before: str | None
    after: str | None

    def describe(self) -> str:
        return f"remove the link {self.path}" if self.after is None else f"link {self.path} to {self.after}"

    def apply(self) -> None:
        _link(self.path, self.after)

    def revert(self) -> None:
        _link(self.path, self.before)


class Place(NamedTuple):
    """Where the name is or belongs. `theirs`: somebody else's file of this name, which docker takes."""

    change: LinkChange | None = None
    theirs: str = ""
    ours: str = ""
    nowhere: bool = False  # no folder of that PATH is safe and may be written to


def find(machine: Root, path: str, target: str) -> Place:
    """`path`: dockerd's PATH; `target`: our program."""
    folders = [folder for folder in path.split(":") if folder.startswith("/")]
    for folder in folders:
        here = f"{folder}/{HOOK}"
        if machine.lstat(here) is None:
            continue
        leads_to = machine.readlink(here)
        if not ours(leads_to):
            return Place(theirs=here)
        return Place(None if leads_to == target else LinkChange(machine.host(here), leads_to, target), ours=here)
    for folder in sorted(folders, key=lambda each: PREFERRED.index(each) if each in PREFERRED else len(PREFERRED)):
        real = machine.host(folder)
        if os.path.isdir(real) and os.access(real, os.W_OK) and publish.insecure(real) is None:
            return Place(LinkChange(f"{real}/{HOOK}", None, target))
    return Place(nowhere=True)


def removal(machine: Root, path: str) -> tuple[LinkChange, ...]:
    """Of every link of ours on that PATH."""
    names = [f"{folder}/{HOOK}" for folder in dict.fromkeys(path.split(":")) if folder.startswith("/")]
    places = {os.path.realpath(machine.host(os.path.dirname(name))): name for name in names}  # /bin is /usr/bin
    found = [(name, machine.readlink(name)) for name in places.values()]
    return tuple(LinkChange(machine.host(name), leads_to, None) for name, leads_to in found if ours(leads_to))


def ours(leads_to: str | None) -> bool:
    return leads_to is not None and leads_to.endswith("/current/" + HOOK)


def _link(path: str, target: str | None) -> None:
    temporary = f"{path}.{os.urandom(6).hex()}.tmp"
    try:
        if target is None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        else:
            os.symlink(target, temporary)
            os.rename(temporary, path)
    except OSError as error:
        mend = "run it as root (sudo)" if isinstance(error, PermissionError) else ""
        raise HostError(f"Cannot change {path}.", why=error.strerror or str(error), mend=mend) from error
