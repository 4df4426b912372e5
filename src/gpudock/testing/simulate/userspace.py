"""The driver's user space below a folder: libraries, programs, configuration and firmware."""

import os

from gpudock.testing.simulate import libraries
from gpudock.testing.simulate.compiler import Compiler, with_soname

_NOTE = "SIMULATED by gpudock\n"
_ICD = """\
{
    "file_format_version" : "1.0.1",
    "ICD": {
        "library_path": "libGLX_nvidia.so.0",
        "api_version" : "1.4.312"
    }
}
"""
_LAYERS = """\
{
    "file_format_version" : "1.0.0",
    "layer": {
        "name": "VK_LAYER_NV_optimus",
        "type": "INSTANCE",
        "library_path": "libGLX_nvidia.so.0",
        "api_version" : "1.4.312",
        "implementation_version" : "1",
        "description" : "NVIDIA Optimus layer",
        "functions": {
            "vkGetInstanceProcAddr": "vk_optimusGetInstanceProcAddr",
            "vkGetDeviceProcAddr": "vk_optimusGetDeviceProcAddr"
        },
        "enable_environment": {
            "__NV_PRIME_RENDER_OFFLOAD": "1"
        },
        "disable_environment": {
            "DISABLE_LAYER_NV_OPTIMUS_1": ""
        }
    }
}
"""
_EGL_BRANCH, _GSP_BRANCH, _SPLIT_GSP_BRANCH = 495, 470, 525


def _egl(library: str) -> str:
    return (
        f'{{\n    "file_format_version" : "1.0.0",\n    "ICD" : {{\n        "library_path" : "{library}"\n    }}\n}}\n'
    )


def texts(driver: str) -> dict[str, str]:
    """Configuration and firmware: path below the driver root -> content."""
    branch = int(driver.partition(".")[0])
    found = {
        "etc/OpenCL/vendors/nvidia.icd": "libnvidia-opencl.so.1\n",
        "usr/share/glvnd/egl_vendor.d/10_nvidia.json": _egl("libEGL_nvidia.so.0"),
        "usr/share/vulkan/icd.d/nvidia_icd.json": _ICD,
        "usr/share/vulkan/implicit_layer.d/nvidia_layers.json": _LAYERS,
    }
    if branch >= _EGL_BRANCH:
        external = "usr/share/egl/egl_external_platform.d"
        found[f"{external}/15_nvidia_gbm.json"] = _egl("libnvidia-egl-gbm.so.1")
        found[f"{external}/10_nvidia_wayland.json"] = _egl("libnvidia-egl-wayland.so.1")
    if branch >= _SPLIT_GSP_BRANCH:
        found |= {f"lib/firmware/nvidia/{driver}/gsp_{chip}.bin": _NOTE for chip in ("ga10x", "tu10x")}
    elif branch >= _GSP_BRANCH:
        found[f"lib/firmware/nvidia/{driver}/gsp.bin"] = _NOTE
    return found


def install(compiler: Compiler, root: str, driver: str, library_folder: str) -> None:
    """Make libraries and programs below `root`."""
    branch = int(driver.partition(".")[0])
    for library, source in ((libraries.NVML, "nvml.c"), (libraries.CUDA, "cuda.c")):
        placed = libraries.place(library, driver, library_folder)
        write(root, placed.path, b"", 0o755)
        compiler.library(source, placed.soname, os.path.join(root, placed.path))
        link_all(root, placed.links)
    placeholder = compiler.placeholder()
    for library in libraries.placeholders(branch):
        placed = libraries.place(library, driver, library_folder)
        write(root, placed.path, with_soname(placeholder, placed.soname), 0o755)
        link_all(root, placed.links)
    link_all(root, {f"{library_folder}/libGLX_indirect.so.0": "libGLX_nvidia.so.0"})
    if branch >= _EGL_BRANCH:
        link_all(root, {f"{library_folder}/gbm/nvidia-drm_gbm.so": "../libnvidia-allocator.so.1"})
    tool = compiler.tool()
    for name in libraries.PROGRAMS:
        write(root, f"usr/bin/{name}", tool, 0o755)
    compiler.nvidia_smi(os.path.join(root, "usr/bin/nvidia-smi"))


def write(root: str, path: str, data: bytes, mode: int = 0o644) -> None:
    whole = os.path.join(root, path)
    os.makedirs(os.path.dirname(whole), mode=0o755, exist_ok=True)
    with open(whole, "wb") as file:
        file.write(data)
        os.fchmod(file.fileno(), mode)


def link_all(root: str, links: dict[str, str]) -> None:
    for path, target in links.items():
        whole = os.path.join(root, path)
        os.makedirs(os.path.dirname(whole), mode=0o755, exist_ok=True)
        os.symlink(target, whole)
