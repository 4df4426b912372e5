"""Graphics and NVSwitch functions on the PCI bus, with the kernel driver that has them."""

import os
import re

from gpudock.facts.system import PciFunction
from gpudock.host.root import Root

FUNCTIONS = "/bus/pci/devices"
DISPLAY = 0x03  # base class
NVSWITCH = 0x068000  # "other bridge", made by NVIDIA
NVIDIA = 0x10DE

_ADDRESS = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$")
_DRM = re.compile(r"(?:card|renderD)[0-9]{1,7}$")


def read(sys: Root) -> tuple[PciFunction, ...]:
    """In the order of their addresses. A function that vanishes meanwhile is left out."""
    found = []
    for address in sys.names(FUNCTIONS):
        pci_class = _number(sys, address, "class")
        if pci_class is None or not _ADDRESS.match(address):
            continue
        if pci_class >> 16 != DISPLAY and pci_class != NVSWITCH:
            continue
        vendor, device = _number(sys, address, "vendor"), _number(sys, address, "device")
        if vendor is None or device is None or (pci_class == NVSWITCH and vendor != NVIDIA):
            continue
        driver = sys.readlink(f"{FUNCTIONS}/{address}/driver")
        found.append(
            PciFunction(
                address=address,
                vendor=vendor,
                device=device,
                pci_class=pci_class,
                kernel_driver=os.path.basename(driver) if driver else None,
            )
        )
    return tuple(found)


def drm(sys: Root, address: str) -> tuple[str, ...]:
    """Names below /dev/dri of one function: "card1", "renderD128"."""
    return tuple(name for name in sys.names(f"{FUNCTIONS}/{address}/drm") if _DRM.match(name))


def _number(sys: Root, address: str, name: str) -> int | None:
    try:
        return int(sys.read(f"{FUNCTIONS}/{address}/{name}", 32), 16)
    except (OSError, ValueError):
        return None
