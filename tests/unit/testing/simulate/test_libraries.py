import pytest

from gpudock.errors import UsageError
from gpudock.testing.simulate import libraries, userspace

FOLDER = "usr/lib/x86_64-linux-gnu"


def stems(branch: int) -> set[str]:
    return {library.stem for library in libraries.placeholders(branch)}


def test_names_sonames_and_links() -> None:
    placed = libraries.place(libraries.CUDA, "580.159.04", FOLDER)
    assert placed.path == f"{FOLDER}/libcuda.so.580.159.04"
    assert placed.soname == "libcuda.so.1"
    assert placed.links == {f"{FOLDER}/libcuda.so.1": "libcuda.so.580.159.04", f"{FOLDER}/libcuda.so": "libcuda.so.1"}


def test_a_library_without_a_soname_suffix_needs_no_link() -> None:
    library = next(each for each in libraries.PLACEHOLDERS if each.stem == "libnvidia-glcore")
    placed = libraries.place(library, "535.261.03", FOLDER)
    assert (placed.soname, placed.links) == ("libnvidia-glcore.so.535.261.03", {})


def test_libraries_with_folders_and_versions_of_their_own() -> None:
    by_stem = {each.stem: each for each in libraries.PLACEHOLDERS}
    vdpau = libraries.place(by_stem["libvdpau_nvidia"], "580.1", FOLDER)
    assert vdpau.path == f"{FOLDER}/vdpau/libvdpau_nvidia.so.580.1"
    gbm = libraries.place(by_stem["libnvidia-egl-gbm"], "580.1", FOLDER)
    assert gbm.path == f"{FOLDER}/libnvidia-egl-gbm.so.1.1.2"


def test_branches_differ() -> None:
    assert "libnvidia-compiler" in stems(470)
    assert "libnvidia-compiler" not in stems(580)
    assert {"libnvidia-nvvm", "libnvidia-gpucomp", "libcudadebugger"} <= stems(580)
    assert not {"libnvidia-nvvm", "libnvidia-gpucomp", "libcudadebugger"} & stems(470)


def test_layouts() -> None:
    assert libraries.library_folder("debian", "aarch64") == "usr/lib/aarch64-linux-gnu"
    assert libraries.library_folder("fedora", "x86_64") == "usr/lib64"
    with pytest.raises(UsageError, match="gentoo"):
        libraries.library_folder("gentoo", "x86_64")


def test_firmware_lies_under_its_version() -> None:
    assert "lib/firmware/nvidia/580.159.04/gsp_ga10x.bin" in userspace.texts("580.159.04")
    assert "lib/firmware/nvidia/470.256.02/gsp.bin" in userspace.texts("470.256.02")
    assert not any("firmware" in path for path in userspace.texts("390.157"))
