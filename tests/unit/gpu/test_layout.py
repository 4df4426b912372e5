"""What a container's driver tree holds, for each capability set."""

import os
import posixpath
from itertools import combinations
from pathlib import Path

import pytest

from gpudock.facts.driver import DriverFiles
from gpudock.gpu import layout
from gpudock.plan.capabilities import ALL
from gpudock.plan.document import MOUNT_POINT
from real.harness.elf import write_library
from unit.machines import I386, LIB, VERSION, X86_64, DriverRoot, whole

EVERY_SET = [names for size in range(1, len(ALL) + 1) for names in combinations(ALL, size)]


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> DriverFiles:
    return whole(tmp_path_factory.mktemp("host")).files()


def paths(content: layout.Content) -> set[str]:
    return {file.path for file in content.files}


def stems(content: layout.Content, folder: str = "lib64/") -> set[str]:
    """Libraries in a folder of the tree, without their versions."""
    return {path.removeprefix(folder).partition(".so")[0] for path in paths(content) if path.startswith(folder + "lib")}


def test_everything(driver: DriverFiles) -> None:
    content = layout.content(driver, ALL)
    assert len(content.files) == len(driver.files)
    assert {"bin/nvidia-smi", "firmware/gsp_ga10x.bin", "share/vulkan/icd.d/nvidia_icd.json"} <= paths(content)
    assert f"lib64/vdpau/libvdpau_nvidia.so.{VERSION}" in paths(content)
    assert "lib64/nvidia/wine/nvngx.dll" in paths(content)
    assert "lib64/xorg/nvidia_drv.so" in paths(content)
    assert stems(content, "lib/") == {"libcuda", "libnvidia-ml"}


@pytest.mark.parametrize(
    ("capabilities", "present", "absent"),
    [
        (("utility",), {"libnvidia-ml"}, {"libcuda", "libnvidia-newer", "libnvcuvid", "libGLX_nvidia"}),
        (
            ("compute",),
            {"libcuda", "libnvidia-ptxjitcompiler", "libnvidia-allocator", "libnvidia-newer"},
            {"libnvidia-ml", "libnvcuvid", "libnvidia-glcore", "libnvidia-ngx"},
        ),
        (("video",), {"libcuda", "libnvcuvid", "libnvidia-opticalflow"}, {"libnvidia-ml", "libnvidia-glcore"}),
        (("graphics",), {"libGLX_nvidia", "libnvidia-glcore", "libnvidia-egl-gbm"}, {"libcuda", "libnvidia-ml"}),
        (("display",), {"libGLX_nvidia", "libnvidia-allocator"}, {"libcuda", "libnvidia-ml"}),
        (("ngx",), {"libnvidia-ngx"}, {"libcuda", "libnvidia-ml", "libGLX_nvidia"}),
        (("compat32",), set(), {"libcuda", "libnvidia-ml"}),  # a modifier: nothing by itself
    ],
)
def test_libraries_by_capability(
    driver: DriverFiles, capabilities: tuple[str, ...], present: set[str], absent: set[str]
) -> None:
    found = stems(layout.content(driver, capabilities))
    assert present <= found
    assert not absent & found


@pytest.mark.parametrize(
    ("capabilities", "twins"),
    [
        (("compute", "utility"), set()),
        (("compute", "compat32"), {"libcuda"}),
        (("compat32", "utility"), {"libnvidia-ml"}),
        (ALL, {"libcuda", "libnvidia-ml"}),
    ],
)
def test_twins_follow_their_64_bit_libraries(
    driver: DriverFiles, capabilities: tuple[str, ...], twins: set[str]
) -> None:
    content = layout.content(driver, capabilities)
    assert stems(content, "lib/") == twins
    assert {entry["soname"].partition(".so")[0] for entry in content.libraries if entry["flags"] == I386} == twins


def test_other_files_by_capability(driver: DriverFiles) -> None:
    def of(*capabilities: str) -> set[str]:
        return {
            path for path in paths(layout.content(driver, capabilities)) if not path.startswith(("lib", "firmware"))
        }

    assert of("utility") == {"bin/nvidia-smi"}
    assert of("compute") == {"bin/nvidia-cuda-mps-control", "share/OpenCL/vendors/nvidia.icd"}
    graphics = {
        "share/vulkan/icd.d/nvidia_icd.json",
        "share/glvnd/egl_vendor.d/10_nvidia.json",
        "share/X11/xorg.conf.d/nvidia-drm-outputclass.conf",
    }
    assert of("graphics") == graphics
    assert of("display") == graphics


@pytest.mark.parametrize("capabilities", EVERY_SET, ids=".".join)
def test_every_set_is_stable_and_closed(driver: DriverFiles, capabilities: tuple[str, ...]) -> None:
    """Same input, same output; each link and each cache entry leads to a file of this very tree."""
    content = layout.content(driver, capabilities)
    assert content == layout.content(driver, capabilities)
    files, links = paths(content), dict(content.links)
    assert not files & set(links)
    for path, target in content.links:
        assert posixpath.normpath(posixpath.join(posixpath.dirname(path), target)) in files
    inside = {f"{MOUNT_POINT}/{path}" for path in (*files, *links)}
    assert {entry["path"] for entry in content.libraries} <= inside
    assert {place["target"] for place in content.places} <= inside
    assert any(path.startswith("firmware/") for path in files)  # with every set


def test_links_by_which_programs_open_libraries(driver: DriverFiles) -> None:
    links = dict(layout.content(driver, ALL).links)
    assert links["lib64/libcuda.so.1"] == f"libcuda.so.{VERSION}"
    assert links["lib64/libcuda.so"] == f"libcuda.so.{VERSION}"  # no host file has this name
    assert links["lib/libcuda.so.1"] == f"libcuda.so.{VERSION}"
    assert links["lib64/libGLX_indirect.so.0"] == f"libGLX_nvidia.so.{VERSION}"
    assert links["lib64/libnvidia-opticalflow.so"] == f"libnvidia-opticalflow.so.{VERSION}"
    assert links["lib64/gbm/nvidia-drm_gbm.so"] == f"../libnvidia-allocator.so.{VERSION}"
    assert links["lib64/libvdpau_nvidia.so.1"] == f"vdpau/libvdpau_nvidia.so.{VERSION}"


def test_cache_entries_are_those_of_ldconfig(driver: DriverFiles) -> None:
    content = layout.content(driver, ALL)
    cuda = [entry for entry in content.libraries if entry["soname"].startswith("libcuda.so")]
    assert cuda == [
        {"flags": flags, "soname": name, "path": f"{MOUNT_POINT}/{folder}/{name}"}
        for flags, folder in ((X86_64, "lib64"), (I386, "lib"))
        for name in ("libcuda.so.1", "libcuda.so")
    ]
    keys = [(entry["flags"], entry["soname"]) for entry in content.libraries]
    assert len(keys) == len(set(keys))


def test_fixed_places(driver: DriverFiles) -> None:
    places = {place["path"]: place["target"] for place in layout.content(driver, ALL).places}
    tree = MOUNT_POINT
    assert places["/usr/bin/nvidia-smi"] == f"{tree}/bin/nvidia-smi"
    assert places["/etc/vulkan/icd.d/nvidia_icd.json"] == f"{tree}/share/vulkan/icd.d/nvidia_icd.json"
    assert places["/etc/OpenCL/vendors/nvidia.icd"] == f"{tree}/share/OpenCL/vendors/nvidia.icd"
    assert places["/usr/share/glvnd/egl_vendor.d/10_nvidia.json"] == f"{tree}/share/glvnd/egl_vendor.d/10_nvidia.json"
    assert places["@xorg/modules/drivers/nvidia_drv.so"] == f"{tree}/lib64/xorg/nvidia_drv.so"
    server = f"{tree}/lib64/xorg/libglxserver_nvidia.so.{VERSION}"
    extensions = "@xorg/modules/extensions/libglxserver_nvidia.so"
    assert (places[extensions], places[f"{extensions}.{VERSION}"]) == (server, server)


def test_of_two_libraries_with_one_soname_the_host_decides(tmp_path: Path) -> None:
    """An older driver's libnvidia-egl-gbm.so.1.1.0 stayed beside 1.1.1: on the host the link names the newer one."""
    root = DriverRoot(tmp_path)
    root.library(f"{LIB}/libcuda.so.{VERSION}", "libcuda.so.1")
    root.library(f"{LIB}/libnvidia-egl-gbm.so.1.1.1", "libnvidia-egl-gbm.so.1")
    write_library(root.place(f"{LIB}/libnvidia-egl-gbm.so.1.1.0"), "libnvidia-egl-gbm.so.1")
    content = layout.content(root.files(), ALL)
    assert dict(content.links)["lib64/libnvidia-egl-gbm.so.1"] == "libnvidia-egl-gbm.so.1.1.1"


def test_a_file_of_that_name_wins_over_a_link(tmp_path: Path) -> None:
    """WSL has libcuda.so, libcuda.so.1 and libcuda.so.1.1 as files, all with one SONAME."""
    root = DriverRoot(tmp_path)
    for name in ("libcuda.so", "libcuda.so.1", "libcuda.so.1.1"):
        write_library(root.place(f"/usr/lib/wsl/lib/{name}"), "libcuda.so.1")
    content = layout.content(root.files(loaded=None), ("compute",))
    assert paths(content) == {"lib64/libcuda.so", "lib64/libcuda.so.1", "lib64/libcuda.so.1.1"}
    assert content.links == ()


class TestGeneration:
    def test_it_is_named_by_version_and_content(self, driver: DriverFiles) -> None:
        name = layout.generation(driver)
        assert name.startswith(f"{VERSION}-")
        assert name == layout.generation(driver)

    def test_any_change_of_a_file_or_link_changes_it(self, tmp_path: Path) -> None:
        root = whole(tmp_path)
        library = f"{root.folder}{LIB}/libcuda.so.{VERSION}"
        seen = [layout.generation(root.files())]
        os.utime(library, ns=(0, 1))
        seen.append(layout.generation(root.files()))
        os.truncate(library, os.path.getsize(library) + 4096)
        seen.append(layout.generation(root.files()))
        os.replace(shadow(library), library)
        seen.append(layout.generation(root.files()))
        root.link(f"{LIB}/libcuda.so", f"libcuda.so.{VERSION}")
        seen.append(layout.generation(root.files()))
        root.file("/usr/bin/nvidia-debugdump", mode=0o755)
        seen.append(layout.generation(root.files()))
        assert len(set(seen)) == len(seen) == 6


def shadow(path: str) -> str:
    """The same content and times in another file, as a package manager would put it there."""
    copy = path + ".new"
    Path(copy).write_bytes(Path(path).read_bytes())
    info = os.stat(path)
    os.utime(copy, ns=(info.st_atime_ns, info.st_mtime_ns))
    return copy


def test_a_root_without_anything_special(tmp_path: Path) -> None:
    root = DriverRoot(tmp_path)
    root.library(f"/usr/lib64/libcuda.so.{VERSION}", "libcuda.so.1")
    content = layout.content(root.files(), ("utility",))
    assert content == layout.Content((), (), (), ())
