"""All that a plan changes in a rootfs, over every shape of trap at every place that is written."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gpudock.errors import GpudockError, RefusedError
from gpudock.plan import ldcache
from gpudock.plan.document import Library, Link, Variant
from gpudock.start import edit, profile, walk
from gpudock.start.rootfs import Rootfs
from unit.plan.plans import gpu, plan_with
from unit.start.traps import SHAPES, digest

TREE = "/usr/local/nvidia"
LINKS = {
    "/usr/bin/nvidia-smi": f"{TREE}/bin/nvidia-smi",
    "/etc/OpenCL/vendors/nvidia.icd": f"{TREE}/share/nvidia.icd",
    "/usr/share/vulkan/icd.d/nvidia_icd.json": f"{TREE}/share/nvidia_icd.json",
}
WRITTEN = (
    *("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d/00-gpudock.conf", "/etc/ld-musl-x86_64.path"),
    "/usr/lib/x86_64-linux-gnu/libcuda.so.1",
    profile.PATH,
    *LINKS,
)


@pytest.fixture
def variant() -> Variant:
    return Variant(
        capabilities=["compute", "graphics", "utility"],
        folder="/var/lib/gpudock/driver/550/compute.graphics.utility",
        drm=False,
        nodes=[],
        mounts=[],
        libraries=[Library(flags=0x0303, soname="libcuda.so.1", path=f"{TREE}/lib64/libcuda.so.1")],
        links=[Link(path=path, target=target) for path, target in LINKS.items()],
    )


def apply(
    image: Path, variant: Variant, *, library_links: bool = True, resolve: Callable[..., int] = walk.resolve
) -> list[str]:
    root = Rootfs(str(image), resolve)
    try:
        return edit.apply(root, {**plan_with(), "library_links": library_links}, variant, [gpu(0)])
    finally:
        root.close()


def test_everything_in_place(image: Path, variant: Variant) -> None:
    assert apply(image, variant) == []
    for path, target in LINKS.items():
        assert os.readlink(image / path[1:]) == target
    assert os.readlink(image / "usr/lib/x86_64-linux-gnu/libcuda.so.1") == f"{TREE}/lib64/libcuda.so.1"
    assert ldcache.entries((image / "etc/ld.so.cache").read_bytes()) == [
        (0x0303, "libcuda.so.1", f"{TREE}/lib64/libcuda.so.1")
    ]
    assert all(os.path.lexists(image / path[1:]) for path in WRITTEN)


def test_again_nothing_changes(image: Path, variant: Variant) -> None:
    apply(image, variant)
    before = digest(image)
    assert apply(image, variant) == []
    assert digest(image) == before


def test_library_links_only_when_asked_for(image: Path, variant: Variant) -> None:
    apply(image, variant, library_links=False)
    assert os.listdir(image / "usr/lib/x86_64-linux-gnu") == ["libc.so.6"]


def test_a_static_image_gets_links_only(tmp_path: Path, variant: Variant) -> None:
    variant["capabilities"] = ["compute", "utility"]
    apply(tmp_path, variant)
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if not path.is_dir()} == {
        path[1:] for path in LINKS
    }


def test_what_the_image_has_there_is_replaced_but_no_folder(image: Path, variant: Variant) -> None:
    (image / "usr/bin").mkdir()
    (image / "usr/bin/nvidia-smi").write_text("of the image")
    (image / "etc/OpenCL/vendors").mkdir(parents=True)
    (image / "etc/OpenCL/vendors/nvidia.icd").symlink_to("/old")
    (image / "usr/share/vulkan/icd.d/nvidia_icd.json").mkdir(parents=True)
    notes = apply(image, variant)
    assert notes == ["a folder of the same name keeps out /usr/share/vulkan/icd.d/nvidia_icd.json"]
    for path in ("/usr/bin/nvidia-smi", "/etc/OpenCL/vendors/nvidia.icd"):
        assert os.readlink(image / path[1:]) == LINKS[path]


def test_folders_of_the_image_may_be_links_inside(image: Path, variant: Variant) -> None:
    (image / "usr/binaries").mkdir()
    (image / "usr/bin").symlink_to("/usr/binaries")
    apply(image, variant)
    assert os.readlink(image / "usr/binaries/nvidia-smi") == LINKS["/usr/bin/nvidia-smi"]


@pytest.mark.parametrize("trap", [(place, shape) for place in WRITTEN for shape in SHAPES], ids=" ".join)
def test_no_trap_leads_out(
    trap: tuple[str, str], image: Path, sentinel: Path, variant: Variant, resolve: Callable[..., int]
) -> None:
    place, shape = trap
    SHAPES[shape](image / place[1:], sentinel)
    beside = sorted(path.name for path in image.parent.iterdir())
    before = digest(sentinel)
    try:
        apply(image, variant, resolve=resolve)
    except GpudockError as error:
        assert place.rpartition("/")[0] in str(error), "the message names the place"  # noqa: PT017
    else:
        assert b"libcuda.so.1" in (image / "etc/ld.so.cache").read_bytes()
    assert digest(sentinel) == before
    assert sorted(path.name for path in image.parent.iterdir()) == beside
    assert not [path for path in image.rglob("*") if path.name.startswith(".gpudock")]


@pytest.mark.parametrize("place", ["/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld-musl-x86_64.path"])
def test_dangling_links_are_refused(place: str, image: Path, sentinel: Path, variant: Variant) -> None:
    SHAPES["leaf is a dangling link"](image / place[1:], sentinel)
    with pytest.raises(RefusedError, match=f"{place} is a dangling link"):
        apply(image, variant)


def test_a_folder_under_links_that_dangles_is_refused(image: Path, variant: Variant) -> None:
    (image / "usr/share").symlink_to("/nowhere")
    with pytest.raises(RefusedError, match="/usr/share is a dangling link"):
        apply(image, variant)


def test_links_into_folders_that_each_image_has_elsewhere(image: Path, variant: Variant) -> None:
    variant["links"] = [
        Link(path="@lib/gbm/nvidia-drm_gbm.so", target=f"{TREE}/lib64/gbm/nvidia-drm_gbm.so"),
        Link(path="@xorg/modules/drivers/nvidia_drv.so", target=f"{TREE}/lib64/xorg/nvidia_drv.so"),
    ]
    assert apply(image, variant) == []
    gbm = image / "usr/lib/x86_64-linux-gnu/gbm/nvidia-drm_gbm.so"
    assert os.readlink(gbm) == f"{TREE}/lib64/gbm/nvidia-drm_gbm.so"
    assert os.readlink(image / "usr/lib/xorg/modules/drivers/nvidia_drv.so") == f"{TREE}/lib64/xorg/nvidia_drv.so"


def test_the_x_server_of_fedora_is_in_lib64(image: Path, variant: Variant) -> None:
    (image / "usr/lib64/xorg/modules").mkdir(parents=True)
    variant["links"] = [Link(path="@xorg/modules/drivers/nvidia_drv.so", target=f"{TREE}/lib64/xorg/nvidia_drv.so")]
    assert apply(image, variant) == []
    assert os.path.lexists(image / "usr/lib64/xorg/modules/drivers/nvidia_drv.so")
    assert not os.path.lexists(image / "usr/lib/xorg")


def test_an_image_without_a_loader_gets_no_link_among_its_libraries(tmp_path: Path, variant: Variant) -> None:
    variant["links"] = [Link(path="@lib/gbm/nvidia-drm_gbm.so", target=f"{TREE}/lib64/gbm/nvidia-drm_gbm.so")]
    variant["capabilities"] = ["compute", "utility"]
    assert apply(tmp_path, variant) == []
    assert list(tmp_path.iterdir()) == []
