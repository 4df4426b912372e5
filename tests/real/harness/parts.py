"""A driver taken apart: its files by kind, whatever folder Debian has them in, to be put where other hosts have them."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from real.harness.drivers import Driver
from real.harness.sparse import copy

_OTHERS = r"lib(?:GL|EGL|GLX|GLESv1_CM|GLESv2|OpenGL|GLdispatch|OpenCL)\.so.*"  # GLVND and the OpenCL loader
# What a path below the root is; "bits" tells 64 from 32, "name" is what remains wherever it is put.
_KINDS: dict[str, re.Pattern[str]] = {
    kind: re.compile(form.replace("LIB", "usr/lib/(?P<bits>x86_64|i386)-linux-gnu"))
    for kind, form in {
        "vdpau": r"LIB/nvidia/[^/]+/(?P<name>libvdpau_nvidia\.so.*)",
        "gbm": r"LIB/nvidia/[^/]+/(?P<name>nvidia-drm_gbm\.so)",
        "wine": r"LIB/nvidia/[^/]+/nvidia/wine/(?P<name>.*\.dll)",
        "beside": rf"(?:usr/lib/mesa-diverted/x86_64-linux-gnu|LIB)/(?P<name>{_OTHERS})",
        "library": r"(?:LIB/(?:nvidia/(?:current|tesla-\d+)/)?|usr/lib/)(?P<name>lib[^/]*\.so[^/]*)",
        "xorg driver": r"usr/lib/nvidia/[^/]+/(?P<name>nvidia_drv\.so)",
        "xorg module": r"usr/lib/nvidia/[^/]+/(?P<name>libglxserver_nvidia\.so.*)",
        "xorg config": r"etc/nvidia/[^/]+/(?P<name>nvidia-drm-outputclass\.conf)",
        "program": r"usr/(?:s?bin|lib/nvidia/[^/]+)/(?P<name>nvidia-[^/.]+(?:\.sh)?|nv-[^/.]+)",
        "firmware": r"usr/lib/firmware/nvidia/[^/]+/(?P<name>[^/]+)",
        "data": r"(?:usr/share/nvidia|LIB/nvidia/[^/]+)/(?P<name>nvoptix\.bin|nvidia-application-profiles-.*|rim/.*)",
        "share": r"usr/share/(?P<name>(?:glvnd|vulkan|egl)/.*)",
        "opencl": r"etc/OpenCL/vendors/(?P<name>.*)",
    }.items()
}


@dataclass(frozen=True)
class Part:
    kind: str
    bits: int
    name: str  # below the folder of its kind
    source: str  # file in the cache
    link: str | None = None  # a link to this name in the same folder instead

    def put(self, folder: Path, name: str | None = None) -> None:
        """Into a folder, under its own or another name."""
        place = folder / (name or self.name)
        place.parent.mkdir(parents=True, exist_ok=True)
        if self.link is None:
            copy(self.source, str(place))
        else:
            place.symlink_to(self.link)


def parts(driver: Driver) -> Iterator[Part]:
    """All files of a driver but documentation, units and kernel configuration. Links of the alternatives are left out."""
    for path in sorted({file for package in driver.packages.values() for file in package.files}):
        for kind, form in _KINDS.items():
            if found := form.fullmatch(path):
                source = driver.root / path
                bits = 32 if found.groupdict().get("bits") == "i386" else 64
                yield Part(kind, bits, found["name"], str(source), os.readlink(source) if source.is_symlink() else None)
                break


def folder_of(part: Part, folders: Mapping[str, str], version: str) -> str | None:
    """The folder of a part: that of its kind, or of "KIND 32" for a 32-bit twin; {version} is replaced."""
    folder = folders.get(part.kind if part.bits == 64 else f"{part.kind} 32")
    return folder.format(version=version) if folder else None


def spread(driver: Driver, root: Path, folders: Mapping[str, str], *, whole: bool) -> None:
    """Puts each part into the folder for its kind; kinds without a folder are left out.

    whole: with the loadable libcuda, libnvidia-ml and nvidia-smi.
    """
    for part in parts(driver):
        folder = folder_of(part, folders, driver.version)
        if folder is None:
            continue
        place = root / folder
        if part.kind == "gbm":
            place.mkdir(parents=True, exist_ok=True)
            (place / part.name).symlink_to("../libnvidia-allocator.so.1")
        else:
            part.put(place)
    if whole:
        make_whole(driver, root)


def make_whole(driver: Driver, root: Path) -> None:
    """Replaces the files with holes in a root by those that a loader can open, where there are any."""
    for file in driver.whole.iterdir():
        for place in root.rglob(file.name):
            if not place.is_symlink() and place.stat().st_size == file.stat().st_size:  # not the 32-bit twin
                place.unlink()
                copy(str(file), str(place))
