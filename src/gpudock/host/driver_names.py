"""What the driver's user space is called, and where distributions and installers put it: data for driver_files."""

import re

# A driver version as file names carry it: 470.256.02, 580.159.04, 390.157. Never the 1.1.0 of libnvidia-egl-gbm.
VERSION = r"\d{3,}\.\d+(?:\.\d+)?"

LIBRARY = re.compile(
    r"""lib(?:cuda|cuda_loader|cudadebugger|nvcuvid|nvoptix|vdpau_nvidia|XvMCNVIDIA
          |(?:GLX|EGL|GLESv1_CM|GLESv2)_nvidia|dxcore|nvdxgdmal|nvwgf2umx|nvdx|nvsdm
          |nvidia-(?!container)[A-Za-z0-9_-]+)\.so(?:\.[0-9.]+)?\Z""",
    re.VERBOSE,
)
VERSION_IN_NAME = re.compile(rf"\.so\.({VERSION})\Z")

# Any of these leads to the folder of the active driver, whatever that folder is called.
LEADERS = (
    "libcuda.so.1",
    "libnvidia-ml.so.1",
    "libGLX_nvidia.so.0",
    "libnvidia-egl-gbm.so.1",
    "libnvidia-egl-wayland.so.1",
)

# Folders below a library folder that hold driver files; data are files that the libraries look for beside themselves.
LIBRARY_SUBFOLDERS = ("vdpau", "tls")
DATA = {"nvidia/wine": re.compile(r".+\.dll\Z"), "": re.compile(r"nvoptix\.bin\Z|nvcubins\.bin\Z")}

XORG = re.compile(r"(?:nvidia_drv\.so|libglxserver_nvidia\.so(?:\.[0-9.]+)?)\Z")
XORG_BELOW_LIBRARIES = (
    "nvidia/xorg",
    "xorg/modules/drivers",
    "xorg/modules/extensions",
    "xorg/modules/updates/drivers",
    "xorg/modules/updates/extensions",
)
XORG_PARENTS = ("/usr/lib/xorg", "/usr/lib64/xorg", "/usr/X11R6/lib", "/usr/X11R6/lib64", "/usr/lib/nvidia")

BINARIES = (
    "nvidia-smi",
    "nvidia-debugdump",
    "nvidia-persistenced",
    "nv-fabricmanager",
    "nvidia-cuda-mps-control",
    "nvidia-cuda-mps-server",
    "nvidia-imex",
    "nvidia-imex-ctl",
    "nvidia-xconfig",
)
BINARY_FOLDERS = (
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
    "/usr/local/nvidia/bin",
    "/run/current-system/sw/bin",
    "/run/opengl-driver/bin",
    "/usr/lib/wsl/lib",
)

# What programs look for below /etc or /usr/share.
CONFIGS = (
    "glvnd/egl_vendor.d/10_nvidia.json",
    "egl/egl_external_platform.d/15_nvidia_gbm.json",
    "egl/egl_external_platform.d/10_nvidia_wayland.json",
    "egl/egl_external_platform.d/09_nvidia_wayland2.json",
    "egl/egl_external_platform.d/20_nvidia_xcb.json",
    "egl/egl_external_platform.d/20_nvidia_xlib.json",
    "nvidia/nvoptix.bin",
    "X11/xorg.conf.d/10-nvidia.conf",
    "X11/xorg.conf.d/nvidia-drm-outputclass.conf",
    "OpenCL/vendors/nvidia.icd",
    "vulkan/icd.d/nvidia_icd.json",
    "vulkan/icd.d/nvidia_layers.json",
    "vulkan/implicit_layer.d/nvidia_layers.json",
    "vulkan/icd.d/nvidia_icd.x86_64.json",
    "vulkan/icd.d/nvidia_icd.aarch64.json",
    "vulkansc/icd.d/nvidia_icd_vksc.json",
    "nvidia/nvidia-application-profiles-{version}-rc",
)
CONFIG_FOLDERS = (
    "/etc",
    "/usr/local/share",
    "/usr/share",
    "/run/opengl-driver/etc",
    "/run/opengl-driver/share",
    "/usr/local/nvidia/share",
)

FIRMWARE = re.compile(r"gsp.*\.bin\Z")


def firmware_folders(kernel_release: str) -> tuple[str, ...]:
    """In the order in which the kernel looks, then where distributions keep it that have no /lib/firmware."""
    kernel = [
        folder
        for place in ("/lib/firmware/updates", "/lib/firmware")
        for folder in ([f"{place}/{kernel_release}", place] if kernel_release else [place])
    ]
    return (*kernel, "/usr/lib/firmware", "/run/current-system/firmware")


SERVICES = ("nvidia-persistenced", "nvidia-fabricmanager")  # folders of /run that hold a file named socket
LIVE_PATHS = ("/run/udev", "/etc/cufile.json")  # GPUDirect Storage
MPS_FOLDER = "/tmp/nvidia-mps"  # noqa: S108  where MPS puts its pipes unless CUDA_MPS_PIPE_DIRECTORY says otherwise
