"""Which folders the facts are read from."""

import os
from typing import TYPE_CHECKING, NamedTuple

from gpudock.errors import HostError, UsageError

if TYPE_CHECKING:
    from gpudock.facts.snapshot import Roots

SIMULATED = "simulated.json"  # a folder that holds it stands for a whole machine with GPUs


class Folders(NamedTuple):
    """Roots, for those who want to know them before facts are imported."""

    driver: str = "/"
    dev: str = "/"
    proc: str = "/proc"
    sys: str = "/sys"
    simulated: bool = False

    def fact(self) -> "Roots":
        from gpudock.facts.snapshot import Roots  # noqa: PLC0415

        return Roots(**self._asdict())


def roots_for(driver_root: str | None, dev_root: str | None, simulated: str | None) -> "Roots":
    """As `folders_for`."""
    return folders_for(driver_root, dev_root, simulated).fact()


def folders_for(driver_root: str | None, dev_root: str | None, simulated: str | None) -> Folders:
    """The machine itself unless told otherwise. Raises UsageError or HostError for folders that cannot be meant.

    `driver_root` is where the driver's user space is, `dev_root` (default: driver root) the folder that holds dev/.
    """
    if simulated and (driver_root or dev_root):
        raise UsageError("--simulated cannot be combined with --driver-root or --dev-root.")
    make = f"make one with: sudo gpudock simulate make {simulated}"
    driver = _folder(simulated, make) if simulated else _folder(driver_root or "/")
    if os.path.isfile(os.path.join(driver, SIMULATED)):
        return Folders(
            driver=driver,
            dev=_folder(dev_root) if dev_root else driver,
            proc=os.path.join(driver, "proc"),
            sys=os.path.join(driver, "sys"),
            simulated=True,
        )
    if simulated:
        raise HostError(
            f"{driver} is not a simulated host.", why=f"it holds no {SIMULATED}", mend=f"name another folder, or {make}"
        )
    return Folders(driver=driver, dev=_folder(dev_root or driver))


def _folder(path: str, mend: str = "give the folder that holds the driver's usr/, lib/ and dev/") -> str:
    folder = os.path.abspath(path)
    if not os.path.isdir(folder):
        raise HostError(f"{folder} is not a folder.", mend=mend)
    return folder
