"""Which driver file belongs to which capability. A file is selected by any one of its capabilities."""

from gpudock.facts.driver import DriverFile
from gpudock.plan.capabilities import ALL

Capabilities = tuple[str, ...]

_UTILITY = ("utility",)
_COMPUTE = ("compute", "video")  # NVENC and NVDEC need the CUDA driver
_VIDEO = ("video",)
_DRAWING = ("graphics", "display")
_UNKNOWN = (
    "compute",
    "graphics",
    "video",
    "display",
    "ngx",
)  # a library newer than this table: withheld from utility only

# By the part of the file name before ".so".
LIBRARIES: dict[str, Capabilities] = {
    "libnvidia-ml": _UTILITY,
    "libnvidia-cfg": _UTILITY,
    "libnvidia-nscq": _UTILITY,
    "libnvsdm": _UTILITY,
    "libcuda": _COMPUTE,
    "libcudadebugger": _COMPUTE,
    "libnvidia-opencl": _COMPUTE,
    "libnvidia-ptxjitcompiler": _COMPUTE,
    "libnvidia-fatbinaryloader": _COMPUTE,
    "libnvidia-compiler": _COMPUTE,
    "libnvidia-compiler-next": _COMPUTE,
    "libnvidia-pkcs11": _COMPUTE,
    "libnvidia-pkcs11-openssl3": _COMPUTE,
    "libnvidia-nvvm": _COMPUTE,
    "libnvidia-nvvm70": _COMPUTE,
    "libnvidia-tileiras": _COMPUTE,
    "libnvidia-gpucomp": _COMPUTE + _DRAWING,  # glcore and eglcore link against it
    "libnvidia-allocator": _COMPUTE + _DRAWING,  # also the GBM back end
    "libvdpau_nvidia": _VIDEO,
    "libnvidia-encode": _VIDEO,
    "libnvidia-opticalflow": _VIDEO,
    "libnvcuvid": _VIDEO,
    "libXvMCNVIDIA": _VIDEO,
    "libnvidia-ngx": ("ngx",),
    # Needed by every WSL program: the way to the Windows driver.
    "libdxcore": ALL,
    "libnvdxgdmal": ALL,
    "libcuda_loader": _COMPUTE,
    "libnvidia-ml_loader": _UTILITY,
    "libnvwgf2umx": _DRAWING,
}
LIBRARIES |= dict.fromkeys(
    (
        "libnvidia-eglcore",
        "libnvidia-glcore",
        "libnvidia-tls",
        "libnvidia-glsi",
        "libnvidia-fbc",
        "libnvidia-ifr",
        "libnvidia-rtcore",
        "libnvoptix",
        "libGLX_nvidia",
        "libEGL_nvidia",
        "libGLESv2_nvidia",
        "libGLESv1_CM_nvidia",
        "libnvidia-glvkspirv",
        "libnvidia-cbl",
        "libnvidia-egl-gbm",
        "libnvidia-egl-wayland",
        "libnvidia-egl-wayland2",
        "libnvidia-egl-xcb",
        "libnvidia-egl-xlib",
        "libnvidia-vulkan-producer",
        "libnvidia-vksc-core",
        "libnvidia-api",
        "libnvidia-gtk2",
        "libnvidia-gtk3",
        "libnvidia-wayland-client",
        "libnvidia-wfb",
        "libnvidia-present",
    ),
    _DRAWING,
)

BINARIES: dict[str, Capabilities] = {
    "nvidia-smi": _UTILITY,
    "nvidia-debugdump": _UTILITY,
    "nvidia-persistenced": _UTILITY,
    "nv-fabricmanager": _UTILITY,
    "nvidia-imex": _UTILITY,
    "nvidia-imex-ctl": _UTILITY,
    "nvidia-cuda-mps-control": ("compute",),
    "nvidia-cuda-mps-server": ("compute",),
    "nvidia-xconfig": ("display",),
}

CONTROL_NODES: dict[str, Capabilities] = {
    "/dev/nvidiactl": ALL,
    "/dev/nvidia-uvm": _COMPUTE,
    "/dev/nvidia-uvm-tools": _COMPUTE,
    "/dev/nvidia-modeset": _DRAWING,  # Vulkan looks for it too
    "/dev/dxg": ALL,
}

SOCKETS: dict[str, Capabilities] = {
    "/run/nvidia-persistenced": _UTILITY,
    "/run/nvidia-fabricmanager": _UTILITY,
}
MPS: Capabilities = _COMPUTE


def needs(file: DriverFile) -> Capabilities:
    """The capabilities any of which selects this file. 32-bit libraries ask for compat32 besides: see `selected`."""
    match file.role:
        case "library":
            return LIBRARIES.get(file.name.partition(".so")[0], _UNKNOWN)
        case "binary":
            return BINARIES.get(file.name, _UNKNOWN)
        case "xorg":
            return _DRAWING
        case "firmware":
            return ALL
        case "config":
            if file.name.startswith("nvidia/nvidia-application-profiles"):
                return _COMPUTE + _DRAWING  # libcuda reads it too
            return _COMPUTE if file.name.startswith("OpenCL/") else _DRAWING
        case _:  # data beside the libraries
            return ("ngx",) if file.name.endswith(".dll") else _UNKNOWN


def selected(file: DriverFile, capabilities: Capabilities) -> bool:
    if file.elf and file.elf.bits == 32 and "compat32" not in capabilities:
        return False
    return not set(needs(file)).isdisjoint(capabilities)
