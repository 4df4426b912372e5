"""Machines for tests: driver roots made of small real files, and the snapshot of a machine that has one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from gpudock.facts.base import Missing
from gpudock.facts.gpu import Capability, DeviceNode, Gpu, KernelDriver, MigInstance, Nvml
from gpudock.facts.snapshot import FORMAT, Roots, Snapshot
from gpudock.facts.system import System
from gpudock.host import driver_files
from gpudock.host.root import Root
from real.harness.elf import write_library
from unit import caches

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gpudock.facts.driver import DriverFiles

VERSION = "550.163.01"
LIB, LIB32 = "/usr/lib/x86_64-linux-gnu", "/usr/lib/i386-linux-gnu"
X86_64, I386 = 0x0303, 0x0003  # as the linker cache spells them

# File name -> SONAME, of one library of each kind that the layout treats differently.
LIBRARIES = {
    f"libcuda.so.{VERSION}": "libcuda.so.1",
    f"libnvidia-ml.so.{VERSION}": "libnvidia-ml.so.1",
    f"libnvidia-ptxjitcompiler.so.{VERSION}": "libnvidia-ptxjitcompiler.so.1",
    f"libnvcuvid.so.{VERSION}": "libnvcuvid.so.1",
    f"libnvidia-opticalflow.so.{VERSION}": "libnvidia-opticalflow.so.1",
    f"libGLX_nvidia.so.{VERSION}": "libGLX_nvidia.so.0",
    f"libnvidia-glcore.so.{VERSION}": f"libnvidia-glcore.so.{VERSION}",
    f"libnvidia-allocator.so.{VERSION}": "libnvidia-allocator.so.1",
    f"libnvidia-ngx.so.{VERSION}": "libnvidia-ngx.so.1",
    f"libnvidia-newer.so.{VERSION}": "libnvidia-newer.so.1",  # no table knows it
    f"vdpau/libvdpau_nvidia.so.{VERSION}": "libvdpau_nvidia.so.1",
    "libnvidia-egl-gbm.so.1.1.0": "libnvidia-egl-gbm.so.1",
}
OTHERS = {
    "/usr/bin/nvidia-smi": "program",
    "/usr/bin/nvidia-cuda-mps-control": "program",
    f"/usr/lib/firmware/nvidia/{VERSION}/gsp_ga10x.bin": "firmware",
    "/etc/vulkan/icd.d/nvidia_icd.json": '{"ICD": {"library_path": "libGLX_nvidia.so.0"}}',
    "/usr/share/glvnd/egl_vendor.d/10_nvidia.json": '{"ICD": {"library_path": "/nix/store/x/lib/libEGL_nvidia.so.0"}}',
    "/etc/OpenCL/vendors/nvidia.icd": "libnvidia-opencl.so.1",
    "/usr/share/X11/xorg.conf.d/nvidia-drm-outputclass.conf": "Section",
    f"{LIB}/nvidia/wine/nvngx.dll": "MZ",
}


class DriverRoot:
    """A folder that looks like a host's "/". Paths are absolute inside of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)

    def place(self, path: str) -> str:
        host = self.folder + path
        os.makedirs(os.path.dirname(host), exist_ok=True)
        return host

    def library(self, path: str, soname: str | None = None, *, bits: int = 64, links: tuple[str, ...] = ()) -> None:
        """A real ELF library, with the links beside it that ldconfig and a package would make."""
        write_library(self.place(path), soname, bits=bits)
        base = os.path.basename(path)
        for name in {*links, *([soname] if soname else [])} - {base}:
            os.symlink(base, self.place(f"{os.path.dirname(path)}/{name}"))

    def file(self, path: str, text: str = "text", mode: int = 0o644) -> None:
        with open(self.place(path), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.folder + path, mode)

    def link(self, path: str, target: str) -> None:
        os.symlink(target, self.place(path))

    def cache(self, *libraries: tuple[int, str, str]) -> None:
        """/etc/ld.so.cache with these (flags, SONAME, path)."""
        entries = [(flags, soname.encode(), path.encode(), 0, 0, b"") for flags, soname, path in libraries]
        with open(self.place("/etc/ld.so.cache"), "wb") as file:
            file.write(caches.build(entries))

    def read(self, loaded: str | None = VERSION, kernel: str = "") -> DriverFiles | Missing:
        root = Root(self.folder)
        return driver_files.read(root, loaded=loaded, architecture="x86_64", run=root, kernel_release=kernel)

    def files(self, loaded: str | None = VERSION, kernel: str = "") -> DriverFiles:
        found = self.read(loaded, kernel)
        assert not isinstance(found, Missing), found.reason
        return found


def whole(folder: Path) -> DriverRoot:
    """A Debian-like root with one file of each kind, 32-bit twins of two libraries included."""
    root = DriverRoot(folder)
    for name, soname in LIBRARIES.items():
        root.library(f"{LIB}/{name}", soname)
    for name in (f"libcuda.so.{VERSION}", f"libnvidia-ml.so.{VERSION}"):
        root.library(f"{LIB32}/{name}", LIBRARIES[name], bits=32)
    root.library(f"{LIB}/nvidia/xorg/nvidia_drv.so")
    root.library(f"{LIB}/nvidia/xorg/libglxserver_nvidia.so.{VERSION}", "libglxserver_nvidia.so")
    for path, text in OTHERS.items():
        root.file(path, text, 0o755 if "/bin/" in path else 0o644)
    return root


def node(path: str, major: int, minor: int, mode: int = 0o666, gid: int = 0) -> DeviceNode:
    return DeviceNode(path=path, host=path, major=major, minor=minor, mode=mode, uid=0, gid=gid)


def uuid(prefix: str, number: int) -> str:
    return f"{prefix}-{number:08x}-1111-4222-8333-444455556666"


def snapshot(
    driver: DriverFiles | Missing,
    *,
    gpus: int = 2,
    mig: Mapping[int, int] | None = None,
    nodes: tuple[DeviceNode, ...] = (),
    wsl: bool = False,
) -> Snapshot:
    """A machine with this driver loaded. `mig`: GPU index -> number of its MIG devices; `nodes`: further ones."""
    divided = {} if mig is None else mig
    rights = {
        name: 12 + 9 * number
        for number, name in enumerate(
            f"gpu{gpu}/gi{instance + 1}{end}"
            for gpu, count in divided.items()
            for instance in range(count)
            for end in ("/access", "/ci0/access")
        )
    }
    own = [node("/dev/dxg", 10, 126)] if wsl else _nodes(gpus, rights)
    return Snapshot(
        format=FORMAT,
        gpudock="0",
        taken="2026-01-01T00:00:00Z",
        roots=Roots(),
        system=System(
            os_id="debian",
            os_version="12",
            os_name="Debian",
            kernel="6.1.0",
            architecture="x86_64",
            boot_id="0f0e0d0c-0b0a-4908-8706-050403020100",
            cgroup_version=2,
            init="systemd",
            wsl=wsl,
        ),
        pci=(),
        modules=(),
        kernel_driver=KernelDriver(
            version=Missing("WSL has none") if wsl else VERSION,
            majors={"nvidia": 195, "nvidia-caps": 237, "nvidia-uvm": 510},
            capabilities=tuple(Capability(name=name, minor=minor) for name, minor in rights.items()),
        ),
        nvml=Nvml(driver=VERSION, cuda="12.4", library=f"{LIB}/libnvidia-ml.so.1"),
        gpus=tuple(_gpu(index, divided.get(index), wsl=wsl) for index in range(gpus)),
        nodes=(*own, *nodes),
        driver=driver,
    )


def _nodes(gpus: int, rights: Mapping[str, int]) -> list[DeviceNode]:
    return [
        *(node(f"/dev/nvidia{index}", 195, index) for index in range(gpus)),
        node("/dev/nvidiactl", 195, 255),
        node("/dev/nvidia-modeset", 195, 254),
        node("/dev/nvidia-uvm", 510, 0),
        node("/dev/nvidia-uvm-tools", 510, 1),
        *(node(f"/dev/nvidia-caps/nvidia-cap{minor}", 237, minor, 0o444) for minor in sorted(rights.values())),
        *(node(f"/dev/dri/renderD{128 + index}", 226, 128 + index, 0o660, gid=105) for index in range(gpus)),
    ]


def _gpu(index: int, instances: int | None, *, wsl: bool) -> Gpu:
    return Gpu(
        index=index,
        uuid=uuid("GPU", index),
        bus_id=f"0000:{index + 6:02x}:00.0",
        minor=-1 if wsl else index,
        name="NVIDIA H200",
        brand="nvidia",
        compute_capability="9.0",
        mig=instances is not None,
        instances=tuple(
            MigInstance(index=number, gi=number + 1, ci=0, uuid=uuid("MIG", 16 * index + number), profile="1g.18gb")
            for number in range(instances or 0)
        ),
        drm=() if wsl else (f"renderD{128 + index}",),
    )
