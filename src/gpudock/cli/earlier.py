"""What the plan in place was made with, so that a later refresh looks in the same places without being told again."""

import json
import os
from typing import TYPE_CHECKING, NamedTuple

from gpudock.cli.options import HostOptions

if TYPE_CHECKING:
    from gpudock.refresh.paths import Paths


class Earlier(NamedTuple):
    host: HostOptions = HostOptions()
    library_links: bool = False


def earlier(where: "Paths") -> Earlier:
    """Of our own specification; the defaults when there is none. Raises HostError when its folders are gone."""
    from gpudock.cdi import store
    from gpudock.errors import GpudockError, HostError
    from gpudock.plan import reader
    from gpudock.publish import read_capped
    from gpudock.refresh.current import plan_path

    try:
        path = plan_path(store.load(where.spec))
        plan = reader.check(json.loads(read_capped(path or "", 8 << 20)))
    except (GpudockError, ValueError, OSError):
        return Earlier()
    if plan["simulated"]:
        host = HostOptions(simulated=plan["driver_root"])
    elif plan["driver_root"] != "/" or plan["dev_root"] != "/":
        host = HostOptions(driver_root=plan["driver_root"], dev_root=plan["dev_root"])
    else:
        host = HostOptions()
    missing = next((folder for folder in host if folder and not os.path.isdir(folder)), None)
    if missing:
        raise HostError(
            f"The folder {missing} is gone.",
            why=f"{where.spec} was made from the driver or the simulated GPUs in it",
            mend="sudo gpudock refresh --driver-root / for this machine's own GPUs, or name the folder that it is now",
        )
    return Earlier(host, plan["library_links"])
