"""The table of capabilities against what is known of the driver's files."""

import pytest

from gpudock.facts.driver import DriverFile
from gpudock.gpu import classify
from gpudock.host import driver_names
from gpudock.plan.capabilities import ALL
from real.harness import h200


def file(role: str, name: str) -> DriverFile:
    return DriverFile(role=role, name=name, path="/" + name, host="/" + name, size=1, mtime_ns=0, inode=1, mode=0o644)


# What libnvidia-container gives for each capability: its own list, not ours.
LEGACY = {
    "utility": "nvidia-ml nvidia-cfg nvidia-nscq",
    "compute": "cuda cudadebugger nvidia-opencl nvidia-gpucomp nvidia-ptxjitcompiler nvidia-fatbinaryloader "
    "nvidia-allocator nvidia-compiler nvidia-pkcs11 nvidia-pkcs11-openssl3 nvidia-nvvm nvidia-tileiras",
    "video": "vdpau_nvidia nvidia-encode nvidia-opticalflow nvcuvid cuda nvidia-ptxjitcompiler nvidia-nvvm",
    "graphics": "nvidia-eglcore nvidia-glcore nvidia-tls nvidia-glsi nvidia-fbc nvidia-ifr nvidia-rtcore nvoptix "
    "GLX_nvidia EGL_nvidia GLESv2_nvidia GLESv1_CM_nvidia nvidia-glvkspirv nvidia-cbl",
    "ngx": "nvidia-ngx",
}


@pytest.mark.parametrize("capability", LEGACY)
def test_each_capability_has_what_the_toolkit_gives_for_it(capability: str) -> None:
    for name in LEGACY[capability].split():
        library = file("library", f"lib{name}.so.550.163.01")
        assert classify.selected(library, (capability,)), name
        if capability == "graphics":
            assert classify.selected(library, ("display",)), name


def test_utility_alone_brings_no_cuda() -> None:
    chosen = {name for name in classify.LIBRARIES if "utility" in classify.LIBRARIES[name]}
    assert "libcuda" not in chosen
    assert {"libnvidia-ml", "libnvidia-cfg"} <= chosen
    assert not classify.selected(file("library", "libnvidia-of-tomorrow.so.999.1"), ("utility",))


def test_a_program_that_the_table_does_not_know() -> None:
    """A snapshot from elsewhere may hold one."""
    assert not classify.selected(file("binary", "nvidia-of-tomorrow"), ("utility",))
    assert classify.selected(file("binary", "nvidia-of-tomorrow"), ("compute",))


def test_every_known_name_is_one_that_discovery_finds() -> None:
    for stem in classify.LIBRARIES:
        assert driver_names.LIBRARY.match(f"{stem}.so.550.163.01"), stem
    assert set(classify.BINARIES) == set(driver_names.BINARIES)


def test_nothing_on_a_real_host_is_unknown() -> None:
    for row in h200.listing():
        name = row.path.rpartition("/")[2]
        if row.kind == "-" and driver_names.LIBRARY.match(name):
            assert name.partition(".so")[0] in classify.LIBRARIES, name


def test_mps_goes_with_everything_that_makes_cuda_contexts() -> None:
    """NVENC and NVDEC make them too: with an exclusive-process GPU they reach it through MPS only."""
    assert set(classify.MPS) == set(classify.CONTROL_NODES["/dev/nvidia-uvm"]) == {"compute", "video"}


def test_every_file_belongs_to_a_capability() -> None:
    for role, name in (
        ("firmware", "gsp_ga10x.bin"),
        ("data", "nvidia/wine/nvngx.dll"),
        ("data", "nvoptix.bin"),
        ("config", "OpenCL/vendors/nvidia.icd"),
        ("config", "vulkan/icd.d/nvidia_icd.json"),
        ("xorg", "nvidia_drv.so"),
    ):
        assert set(classify.needs(file(role, name))) <= set(ALL)
    assert classify.needs(file("data", "nvidia/wine/nvngx.dll")) == ("ngx",)
    assert classify.needs(file("config", "OpenCL/vendors/nvidia.icd")) == ("compute", "video")
