"""The loaders' view of the driver: which images get what, and that nothing is lost."""

import os
import struct
from pathlib import Path

import pytest

from gpudock.errors import GpudockError, RefusedError
from gpudock.plan import ldcache
from gpudock.plan.document import Library
from gpudock.start import linker
from gpudock.start.rootfs import Rootfs
from unit import caches

FOLDER = "/usr/local/nvidia/lib64"
CUDA = Library(flags=0x0303, soname="libcuda.so.1", path=f"{FOLDER}/libcuda.so.1")
ML = Library(flags=0x0303, soname="libnvidia-ml.so.1", path=f"{FOLDER}/libnvidia-ml.so.1")
FOLDERS = "/usr/local/nvidia/lib64\n/usr/local/nvidia/lib\n"
IMAGE_CACHE = caches.build([(0x0303, b"libz.so.1", b"/lib/x86_64-linux-gnu/libz.so.1", 0, 0, b"")])


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def put(folder: Path, path: str, content: bytes = b"") -> Path:
    place = folder / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return place


def prepare(folder: Path, *libraries: Library) -> list[str]:
    root = Rootfs(str(folder))
    try:
        return linker.prepare(root, list(libraries or (CUDA, ML)))
    finally:
        root.close()


def sonames(folder: Path, path: str = "etc/ld.so.cache") -> list[str]:
    return [name for _, name, _ in ldcache.entries((folder / path).read_bytes())]


def test_an_image_without_a_loader_is_left_alone(tmp_path: Path) -> None:
    put(tmp_path, "bin/busybox")
    assert prepare(tmp_path) == []
    assert files(tmp_path) == {"bin/busybox"}


def test_debian(tmp_path: Path) -> None:
    put(tmp_path, "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2")
    (tmp_path / "lib64").mkdir()
    (tmp_path / "lib64/ld-linux-x86-64.so.2").symlink_to("/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2")
    put(tmp_path, "etc/ld.so.conf", b"include /etc/ld.so.conf.d/*.conf\n")
    put(tmp_path, "etc/ld.so.cache", IMAGE_CACHE)
    assert prepare(tmp_path) == []
    assert sonames(tmp_path) == ["libz.so.1", "libnvidia-ml.so.1", "libcuda.so.1"]
    assert (tmp_path / "etc/ld.so.conf.d/00-gpudock.conf").read_text() == FOLDERS
    assert (tmp_path / "etc/ld.so.conf").read_text() == "include /etc/ld.so.conf.d/*.conf\n"


def test_lib64_only(tmp_path: Path) -> None:
    put(tmp_path, "usr/lib64/ld-linux-x86-64.so.2")
    (tmp_path / "lib64").symlink_to("usr/lib64")
    put(tmp_path, "etc/ld.so.cache", IMAGE_CACHE)
    assert prepare(tmp_path) == []
    assert "libcuda.so.1" in sonames(tmp_path)


def test_glibc_without_a_cache_gets_one_and_a_configuration(tmp_path: Path) -> None:
    put(tmp_path, "lib64/ld-linux-x86-64.so.2")
    assert prepare(tmp_path) == []
    assert sonames(tmp_path) == ["libnvidia-ml.so.1", "libcuda.so.1"]
    assert (tmp_path / "etc/ld.so.conf").read_text() == "include /etc/ld.so.conf.d/*.conf\n"


def test_doing_it_again_touches_nothing(image: Path) -> None:
    prepare(image)
    before = {path: (path.lstat().st_ino, path.lstat().st_mtime_ns) for path in image.rglob("*")}
    prepare(image)
    assert {path: (path.lstat().st_ino, path.lstat().st_mtime_ns) for path in image.rglob("*")} == before


def test_another_driver_replaces_the_one_before(image: Path) -> None:
    prepare(image, CUDA, ML)
    prepare(image, ML)
    assert sonames(image) == ["libnvidia-ml.so.1"]


def test_musl_keeps_its_default_folders(tmp_path: Path) -> None:
    put(tmp_path, "lib/ld-musl-x86_64.so.1")
    prepare(tmp_path)
    assert (tmp_path / "etc/ld-musl-x86_64.path").read_text() == f"/lib:/usr/local/lib:/usr/lib\n{FOLDERS}"
    assert files(tmp_path) == {"lib/ld-musl-x86_64.so.1", "etc/ld-musl-x86_64.path"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"/opt/lib\n/lib\n", f"/opt/lib\n/lib\n{FOLDERS}"),
        (b"/lib:/usr/local/nvidia/lib64", "/lib:/usr/local/nvidia/lib64\n/usr/local/nvidia/lib\n"),
        (b"", FOLDERS),
        (FOLDERS.encode(), FOLDERS),
    ],
)
def test_musl_path_file_of_the_image_is_extended(tmp_path: Path, old: bytes, new: str) -> None:
    put(tmp_path, "lib/ld-musl-x86_64.so.1")
    path = put(tmp_path, "etc/ld-musl-x86_64.path", old)
    prepare(tmp_path)
    assert path.read_text() == new
    prepare(tmp_path)
    assert path.read_text() == new


def test_glibc_compat_on_alpine_gets_both(image: Path) -> None:
    """Its own loader reads a cache in its own folder, to which /etc/ld.so.cache is a link."""
    cache = put(image, "usr/glibc-compat/etc/ld.so.cache", IMAGE_CACHE)
    (image / "etc").mkdir()
    (image / "etc/ld.so.cache").symlink_to("/usr/glibc-compat/etc/ld.so.cache")
    prepare(image)
    assert "libcuda.so.1" in [name for _, name, _ in ldcache.entries(cache.read_bytes())]
    assert (image / "etc/ld.so.cache").is_symlink()
    assert (image / "etc/ld-musl-x86_64.path").exists()


def test_a_loader_that_reads_no_cache_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "nix/store").mkdir(parents=True)
    notes = prepare(tmp_path)
    assert ["LD_LIBRARY_PATH=/usr/local/nvidia/lib64" in note for note in notes] == [True]
    assert files(tmp_path) == set()


def test_names_that_the_loader_confuses_are_told_of(image: Path) -> None:
    put(image, "etc/ld.so.cache", caches.build([(0x0303, b"libcuda.so.01", b"/x", 0, 0, b"")]))
    assert prepare(image) == ["the loader takes libcuda.so.01 of the image for the driver's libcuda.so.1"]


def test_a_libcuda_of_the_image_is_told_of(image: Path) -> None:
    """By a cache, or lying in a folder that loaders search: with something in it, or as another toolkit's leftover."""
    baked = put(image, "opt/driver/libcuda.so.1", b"old")
    left = put(image, "usr/lib/x86_64-linux-gnu/libcuda.so.1")
    entries = [
        (0x0303, b"libcuda.so.1", b"/opt/driver/libcuda.so.1", 0, 0, b""),
        (0x0303, b"libcuda.so.1", b"/opt/gone/libcuda.so.1", 0, 0, b""),
        (0x0303, b"libcuda.so.1", b"/usr/local/cuda/compat/libcuda.so.1", 0, 0, b""),
    ]
    put(image, "usr/local/cuda/compat/libcuda.so.1", b"of the package for forward compatibility")
    put(image, "etc/ld.so.cache", caches.build(entries))
    notes = prepare(image)
    assert notes == [
        f"this image has a libcuda of its own, {path}: programs get {CUDA['path']} instead"
        for path in ("/opt/driver/libcuda.so.1", "/usr/lib/x86_64-linux-gnu/libcuda.so.1")
    ]
    first = next(path for _, name, path in ldcache.entries((image / "etc/ld.so.cache").read_bytes()) if "cuda" in name)
    assert first == CUDA["path"]
    baked.unlink()
    left.unlink()
    assert prepare(image) == []


def test_our_own_link_to_libcuda_is_none_of_the_image(image: Path) -> None:
    put(image, "usr/local/nvidia/lib64/libcuda.so.1", b"the driver's")
    (image / "usr/lib/x86_64-linux-gnu/libcuda.so.1").symlink_to(CUDA["path"])
    assert prepare(image) == []


def test_an_unusable_cache_is_refused_and_kept(image: Path) -> None:
    broken = IMAGE_CACHE[:48] + b"\xff" * 24 + IMAGE_CACHE[72:]
    path = put(image, "etc/ld.so.cache", broken)
    with pytest.raises(GpudockError, match="linker cache"):
        prepare(image)
    assert path.read_bytes() == broken


@pytest.mark.parametrize("content", [b"", b"\x7fELF", struct.pack("=20sI", b"glibc-ld.so.cache1.1", 1)])
def test_a_cache_that_no_loader_reads_is_replaced(image: Path, content: bytes) -> None:
    put(image, "etc/ld.so.cache", content)
    prepare(image)
    assert "libcuda.so.1" in sonames(image)


@pytest.mark.parametrize("kind", ["folder", "fifo", "sparse", "device"])
def test_something_else_instead_of_a_cache_is_refused(image: Path, kind: str) -> None:
    place = image / "etc/ld.so.cache"
    place.parent.mkdir()
    if kind == "folder":
        place.mkdir()
    elif kind == "fifo":
        os.mkfifo(place)
    elif kind == "sparse":
        with place.open("wb") as file:
            file.truncate(2 << 30)
    elif os.geteuid() == 0:
        os.mknod(place, 0o20666, os.makedev(1, 5))  # /dev/zero: endless
    else:
        return
    with pytest.raises(RefusedError, match=r"/etc/ld\.so\.cache"):
        prepare(image)


@pytest.mark.parametrize(
    ("places", "flags", "expected"),
    [
        (["lib64/ld-linux-x86-64.so.2", "usr/lib/x86_64-linux-gnu/"], 0x0303, "/usr/lib/x86_64-linux-gnu"),
        (["lib64/ld-linux-x86-64.so.2", "usr/lib64/"], 0x0303, "/usr/lib64"),
        (["lib64/ld-linux-x86-64.so.2", "usr/lib/"], 0x0303, "/usr/lib"),
        (["usr/lib/x86_64-linux-gnu/"], 0x0303, None),  # nothing would load it
        (["lib/ld-linux.so.2", "usr/lib/i386-linux-gnu/"], 0x0003, "/usr/lib/i386-linux-gnu"),
        (["lib/ld-linux.so.2", "lib64/ld-linux-x86-64.so.2", "usr/lib64/", "usr/lib/"], 0x0003, "/usr/lib"),
        # /usr/lib is the 64-bit folder
        (["lib/ld-linux.so.2", "lib64/ld-linux-x86-64.so.2", "usr/lib/", "usr/lib32/"], 0x0003, "/usr/lib32"),
        (["lib/ld-linux.so.2", "lib64/ld-linux-x86-64.so.2", "usr/lib/"], 0x0003, None),
        (["lib/ld-linux-aarch64.so.1", "usr/lib64/"], 0x0A03, "/usr/lib64"),
        (["lib64/ld-linux-x86-64.so.2", "usr/lib/"], 0x7777, None),
    ],
)
def test_the_images_own_folder(tmp_path: Path, places: list[str], flags: int, expected: str | None) -> None:
    for place in places:
        if place.endswith("/"):
            (tmp_path / place).mkdir(parents=True)
        else:
            put(tmp_path, place)
    assert linker.own_folder(Rootfs(str(tmp_path)), flags) == expected
