"""The graphics part of tools/gpu_machine.py: EGL, Vulkan and GLX programs in a container with and without the
graphics capability. The loaders and programs are Debian's, unpacked into an image that has nothing of NVIDIA's.
"""

import lzma
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

IMAGE = "graphics.tar.xz"
PACKAGES = (
    *("libegl1", "libglx0", "libgl1", "libopengl0", "libvulkan1", "vulkan-tools", "mesa-utils-bin"),
    *("xvfb", "libgl1-mesa-dri", "libglx-mesa0", "xkb-data", "x11-xkb-utils"),  # an X server with GLX of its own
)
# Mesa's drivers are one file of many names: one of them is enough.
_LEFT_OUT = re.compile(
    r"\./(var|boot|usr/share/(doc|man|info|locale|lintian|bug|mesa-demos)|usr/lib/[^/]+/(gconv|perl)[^/]*)(/|$)"
    r"|\./usr/lib/[^/]+/dri/(?!swrast_dri).*|\./dev/.*|.*/(es2|vkcube|glxgears|glxheads|glxdemo).*"
)
XVFB = (
    "busybox mkdir -p /tmp/.X11-unix; Xvfb :7 -screen 0 640x480x24 +extension GLX >/tmp/xvfb 2>&1 & "
    "i=0; while [ ! -e /tmp/.X11-unix/X7 ] && [ $i -lt 100 ]; do busybox sleep 0.1; i=$((i+1)); done; "
)
LOOKS = {
    "EGL": "gpu_egl",
    "Vulkan": "vulkaninfo --summary",
    "GLX": XVFB + "DISPLAY=:7 __GLX_VENDOR_LIBRARY_NAME=nvidia glxinfo.x86_64-linux-gnu -B",
}


def pack(folder: Path) -> None:
    """A root file system with the programs, compressed hard: it has to travel."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="gpudock-graphics-") as temp:
        whole = Path(temp, "whole.tar")
        argv = ["mmdebstrap", "--quiet", "--variant=extract", f"--include={','.join(PACKAGES)}"]
        subprocess.run([*argv, os.environ.get("SUITE", "bookworm"), str(whole)], check=True)
        busybox = shutil.which("busybox", path="/usr/bin:/bin")
        assert busybox is not None
        source = Path(__file__).with_name("gpu_egl.c")
        subprocess.run(["cc", "-O1", "-o", f"{temp}/gpu_egl", str(source), "-ldl"], check=True)
        with (
            tarfile.open(whole) as read,
            lzma.open(folder / IMAGE, "wb", preset=9) as packed,
            tarfile.open(fileobj=packed, mode="w|") as written,
        ):
            _copy(read, written)
            for name in ("usr/bin/busybox", "bin/sh"):  # Xvfb calls the shell by its path
                written.add(busybox, arcname=f"./{name}")
            written.add(f"{temp}/gpu_egl", arcname="./usr/bin/gpu_egl")


def _copy(read: tarfile.TarFile, written: tarfile.TarFile) -> None:
    """What is wanted; hard links become the file that they lead to where that one is left out."""
    for member in read:
        if _LEFT_OUT.match(member.name):
            continue
        if member.islnk() and _LEFT_OUT.match(member.linkname):
            source = read.getmember(member.linkname)
            member.type, member.size, member.linkname = source.type, source.size, ""
            written.addfile(member, read.extractfile(source))
        else:
            written.addfile(member, read.extractfile(member) if member.isreg() else None)


def looked_at(start: Callable[..., str]) -> dict[str, object]:
    """What the programs name as the device. Raises SystemExit when NVIDIA's is missing, or is there without asking.

    `start` runs a command in a container: start(gpus, image, *command) -> what it printed, whatever its exit code.
    """
    found: dict[str, object] = {}
    for name, command in LOOKS.items():
        asked = start('"device=0","capabilities=graphics,utility"', "graphics", "/bin/sh", "-c", command)
        without = start('"device=0","capabilities=compute,utility"', "graphics", "/bin/sh", "-c", command)
        found[name] = {"with graphics": _devices(asked), "without": _devices(without)}
        if not _devices(asked) or _devices(without):
            raise SystemExit(f"{name}: with the capability:\n{asked}\nwithout it:\n{without}")
    return found


def _devices(said: str) -> list[str]:
    """The lines that name NVIDIA's device or vendor."""
    lines = (line.strip() for line in said.splitlines())
    return sorted({line for line in lines if re.search(r"(deviceName|vendor|renderer|Device).*NVIDIA", line)})
