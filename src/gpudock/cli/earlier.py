"""Where the last refresh looked, so that the next one, by hand or by a unit, looks there without being told again."""

import os
from typing import TYPE_CHECKING, NamedTuple

from gpudock.cli.options import HostOptions

if TYPE_CHECKING:
    from gpudock.refresh.paths import Paths


class Earlier(NamedTuple):
    host: HostOptions
    library_links: bool


def earlier(where: "Paths") -> Earlier:
    """Raises HostError when its folders are gone, RefusedError when somebody else could have replaced them."""
    from gpudock.errors import HostError, RefusedError
    from gpudock.publish import insecure
    from gpudock.refresh import cycle

    source = cycle.earlier(where)
    roots = source.roots
    if roots.simulated:
        host = HostOptions(simulated=roots.driver)
    elif (roots.driver, roots.dev) != ("/", "/"):
        host = HostOptions(driver_root=roots.driver, dev_root=roots.dev)
    else:
        return Earlier(HostOptions(), source.library_links)
    for folder in filter(None, host):
        mend = "sudo gpudock refresh --driver-root / for this machine's own GPUs, or name the folder that it is now"
        if not os.path.isdir(folder):
            raise HostError(f"The folder {folder} is gone.", why="the last refresh read the driver there", mend=mend)
        danger = insecure(folder)
        if danger:
            raise RefusedError(f"The folder {folder} is not used again without being named.", why=danger, mend=mend)
    return Earlier(host, source.library_links)


def before(host: HostOptions, where: "Paths") -> Earlier:
    """Where a refresh with these options reads the machine: without any, where it did the last time."""
    return earlier(where) if host == HostOptions() else Earlier(host, library_links=False)
