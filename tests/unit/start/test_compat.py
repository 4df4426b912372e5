"""When an image's newer libcuda is used instead of the driver's, and what the loader is told then."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gpudock.plan import ldcache
from gpudock.plan.document import Gpu, Library, Plan
from gpudock.start import compat, linker, walk
from gpudock.start.rootfs import Rootfs
from unit.plan.plans import gpu, plan_with
from unit.start.noted import content, library

TREE = "/usr/local/nvidia/lib64"
COMPAT = compat.FOLDER
NEWER = "590.44.01"
DRIVER = [
    Library(flags=flags, soname=name, path=f"{folder}/{name}")
    for flags, folder in ((0x0303, TREE), (0x0003, "/usr/local/nvidia/lib"))
    for name in ("libcuda.so.1", "libcuda.so", "libnvidia-ptxjitcompiler.so.1", "libnvidia-ml.so.1")
]


def plan(driver: str = "570.86.15") -> Plan:
    return plan_with(gpu(0), driver=driver, cuda="12.8")


@pytest.fixture
def packed(image: Path) -> Path:
    """An image with NVIDIA's cuda-compat package, as that lays out its folder."""
    pack(image, library(content()))
    return image


def pack(image: Path, data: bytes, version: str = NEWER) -> Path:
    folder = image / "usr/local/cuda-13.1/compat"
    folder.mkdir(parents=True, exist_ok=True)
    if not (image / "usr/local/cuda").is_symlink():
        (image / "usr/local/cuda").symlink_to("/usr/local/cuda-13.1")
    (folder / f"libcuda.so.{version}").write_bytes(data)
    for stem, soname in (("libnvidia-ptxjitcompiler", ".so.1"), ("libnvidia-nvvm70", ".so.4"), ("libcuda", ".so.1")):
        whole = folder / f"{stem}.so.{version}"
        if not whole.exists():
            whole.write_bytes(library() + stem.encode())
        (folder / f"{stem}{soname}").unlink(missing_ok=True)
        (folder / f"{stem}{soname}").symlink_to(whole.name)
    (folder / "libcuda.so").unlink(missing_ok=True)
    (folder / "libcuda.so").symlink_to("libcuda.so.1")
    return folder


def choose(
    image: Path,
    made_for: Plan | None = None,
    gpus: list[Gpu] | None = None,
    resolve: Callable[..., int] = walk.resolve,
) -> tuple[set[str], list[str]]:
    """The paths in the folder of forward compatibility that are chosen, and the notes."""
    root = Rootfs(str(image), resolve)
    try:
        found, notes = compat.choose(root, made_for or plan(), DRIVER, [gpu(0)] if gpus is None else gpus)
    finally:
        root.close()
    for flags in (0x0303, 0x0003):
        sonames = [entry["soname"] for entry in found if entry["flags"] == flags]
        assert len(sonames) == len(set(sonames)), "one library for each name"
    assert [entry for entry in found if entry["flags"] == 0x0003] == DRIVER[4:]
    return {entry["path"] for entry in found if entry["path"].startswith(COMPAT)}, notes


def test_the_whole_package_comes_before_the_driver(packed: Path) -> None:
    names = ("libcuda.so", "libcuda.so.1", "libnvidia-nvvm70.so.4", "libnvidia-ptxjitcompiler.so.1")
    assert choose(packed) == ({f"{COMPAT}/{name}" for name in names}, [])


def test_what_the_loader_is_told(packed: Path) -> None:
    root = Rootfs(str(packed))
    found, _ = compat.choose(root, plan(), DRIVER, [gpu(0)])
    assert linker.prepare(root, found) == []
    listed = {
        name: path
        for flags, name, path in ldcache.entries((packed / "etc/ld.so.cache").read_bytes())
        if flags == 0x0303
    }
    assert listed["libcuda.so.1"] == f"{COMPAT}/libcuda.so.1"
    assert listed["libnvidia-ml.so.1"] == f"{TREE}/libnvidia-ml.so.1"
    configured = (packed / "etc/ld.so.conf.d/00-gpudock.conf").read_text().split()
    assert configured == [COMPAT, TREE, "/usr/local/nvidia/lib"]
    # The driver was upgraded meanwhile: the same container starts again with what the driver has.
    newer, notes = compat.choose(root, plan("595.10"), DRIVER, [gpu(0)])
    assert (linker.prepare(root, newer), notes) == ([], [])
    entries = ldcache.entries((packed / "etc/ld.so.cache").read_bytes())
    assert (
        next(path for flags, name, path in entries if (flags, name) == (0x0303, "libcuda.so.1"))
        == f"{TREE}/libcuda.so.1"
    )
    assert (packed / "etc/ld.so.conf.d/00-gpudock.conf").read_text().split() == [TREE, "/usr/local/nvidia/lib"]
    root.close()


@pytest.mark.parametrize(
    ("driver", "used"),
    [
        ("570.86.15", True),
        ("590.44.00", True),
        ("590.44.01", False),  # the same
        ("590.45", False),
        ("600.1", False),
        ("", False),  # unknown
    ],
)
def test_only_what_is_newer_than_the_driver(packed: Path, driver: str, used: bool) -> None:
    paths, notes = choose(packed, plan(driver))
    assert (bool(paths), notes) == (used, [])


def test_a_driver_that_it_was_not_made_for(packed: Path) -> None:
    paths, notes = choose(packed, plan("565.57.01"))
    assert not paths
    assert notes == [
        f"CUDA's forward compatibility in {COMPAT} is not used: libcuda.so.{NEWER} is not made for driver 565.57.01"
    ]


@pytest.mark.parametrize(("driver", "used"), [("570.86.15", True), ("590.10.01", False), ("595.1", False)])
def test_without_a_note_the_branch_decides(image: Path, driver: str, used: bool) -> None:
    pack(image, library())
    assert (bool(choose(image, plan(driver))[0]), choose(image, plan(driver))[1]) == (used, [])


@pytest.mark.parametrize("brand", ["geforce", "geforcertx", "titan", "titanrtx"])
def test_it_does_not_work_on_gaming_gpus(packed: Path, brand: str) -> None:
    paths, notes = choose(packed, gpus=[gpu(0), gpu(1, brand=brand)])
    assert not paths
    assert notes == [f"CUDA's forward compatibility in {COMPAT} is not used: GPU 1, NVIDIA H200, is no data-centre GPU"]


def test_two_versions_are_told_of(packed: Path) -> None:
    pack(packed, library(content()), "580.65.06")
    paths, notes = choose(packed)
    assert not paths
    assert "it holds 2 versions: libcuda.so.580.65.06, libcuda.so.590.44.01" in notes[0]


def test_wsl_and_containers_without_cuda_are_left_alone(packed: Path) -> None:
    assert choose(packed, {**plan(), "wsl": True}) == (set(), [])
    root = Rootfs(str(packed))
    without = [entry for entry in DRIVER if not entry["soname"].startswith("libcuda")]
    assert compat.choose(root, plan(), without, [gpu(0)]) == (without, [])
    root.close()


def test_an_image_without_the_folder(image: Path) -> None:
    assert choose(image) == (set(), [])
    (image / "usr/local/cuda/compat").mkdir(parents=True)
    (image / "usr/local/cuda/compat/README").touch()
    assert choose(image) == (set(), [])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "cut off"),
        (b"text" * 100, "no 64-bit ELF"),
        (library(content(), machine=183), "for another processor"),
        (library(b"{"), "no valid JSON"),
        (library(b"[" * 5000), "no valid JSON"),
        (library(b"[]"), "not made for driver"),
        (library(content(Driver=570)), "not made for driver"),
    ],
)
def test_unusable_libraries_are_told_of(image: Path, data: bytes, words: str) -> None:
    pack(image, data)
    paths, notes = choose(image)
    assert not paths
    assert words in notes[0]


def test_names_that_lead_nowhere(packed: Path) -> None:
    """Only what is there, as a plain file with something in it, is listed; without libcuda.so.1 nothing is."""
    folder = packed / "usr/local/cuda-13.1/compat"
    (folder / f"libnvidia-nvvm70.so.{NEWER}").write_bytes(b"")
    (folder / "libnvidia-ptxjitcompiler.so.1").unlink()
    (folder / "libnvidia-ptxjitcompiler.so.1").symlink_to("/nowhere")
    (folder / "libdir.so.1").mkdir()
    os.mkfifo(folder / "libfifo.so.1")
    names = ("libcuda.so", "libcuda.so.1", f"libnvidia-ptxjitcompiler.so.{NEWER}")
    assert choose(packed)[0] == {f"{COMPAT}/{name}" for name in names}
    (folder / "libcuda.so.1").unlink()
    assert "it holds no libcuda.so.1" in choose(packed)[1][0]


def _to_the_host(folder: Path, host: Path) -> None:
    """As one file of a folder full of bait, the host's own library: newer, and made for this driver."""
    (host / "owned").write_bytes(library(content()))
    (folder / f"libcuda.so.{NEWER}").unlink()
    (folder / f"libcuda.so.{NEWER}").symlink_to(host / "owned")


def _fifo(folder: Path, _: Path) -> None:
    (folder / f"libcuda.so.{NEWER}").unlink()
    os.mkfifo(folder / f"libcuda.so.{NEWER}")


def _loop(folder: Path, _: Path) -> None:
    (folder / f"libcuda.so.{NEWER}").unlink()
    (folder / f"libcuda.so.{NEWER}").symlink_to("libcuda.so.1")


def _crowd(folder: Path, _: Path) -> None:
    for number in range(300):
        (folder / f"lib{number}.so.1").touch()


@pytest.mark.parametrize(
    ("lay", "words"),
    [(_to_the_host, "dangling"), (_fifo, "not a plain file"), (_loop, "cannot be reached"), (_crowd, "more than 256")],
)
def test_traps(
    packed: Path, sentinel: Path, resolve: Callable[..., int], lay: Callable[[Path, Path], None], words: str
) -> None:
    lay(packed / "usr/local/cuda-13.1/compat", sentinel)
    paths, notes = choose(packed, resolve=resolve)
    assert not paths
    assert words in notes[0]


def test_the_folder_itself_leads_to_the_host(image: Path, sentinel: Path, resolve: Callable[..., int]) -> None:
    (sentinel / f"libcuda.so.{NEWER}").write_bytes(library(content()))
    (image / "usr/local/cuda").mkdir(parents=True)
    (image / "usr/local/cuda/compat").symlink_to(sentinel)
    assert choose(image, resolve=resolve) == (set(), [])
