"""What a driver layout is, and where kinds of files lie in most of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

MULTIARCH, MULTIARCH32 = "usr/lib/x86_64-linux-gnu", "usr/lib/i386-linux-gnu"
VULKAN = "/etc/vulkan/icd.d/nvidia_icd.json"
VULKAN_X86_64 = "/etc/vulkan/icd.d/nvidia_icd.x86_64.json"
XORG_CONFIG = "/usr/share/X11/xorg.conf.d/nvidia-drm-outputclass.conf"
COMMON = {
    "program": "usr/bin",
    "firmware": "usr/lib/firmware/nvidia/{version}",
    "data": "usr/share/nvidia",
    "share": "usr/share",
    "opencl": "etc/OpenCL/vendors",
    "xorg config": "usr/share/X11/xorg.conf.d",
}


@dataclass(frozen=True)
class Layout:
    name: str
    root: Path  # the driver root: what --driver-root gets
    dev_root: Path  # what --dev-root gets: another folder than root in "split" and "gke"
    version: str  # of the loaded module and the active user space
    branch: str
    libraries: tuple[str, ...]  # folders of the root that hold the active 64-bit driver libraries themselves
    differs: Mapping[str, str | None] = field(
        default_factory=dict
    )  # configuration files of another name, or none, here
    compat32: bool = True  # has 32-bit twins


def below(libraries: str, libraries32: str) -> dict[str, str]:
    """Where kinds of files lie that follow the library folders."""
    return {
        "library": libraries,
        "library 32": libraries32,
        "beside": libraries,
        "beside 32": libraries32,
        "vdpau": f"{libraries}/vdpau",
        "vdpau 32": f"{libraries32}/vdpau",
        "gbm": f"{libraries}/gbm",
        "gbm 32": f"{libraries32}/gbm",
        "wine": f"{libraries}/nvidia/wine",
    }
