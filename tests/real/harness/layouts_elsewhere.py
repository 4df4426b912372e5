"""Layouts that have no /usr/lib full of libraries: COS on GKE, NixOS, Windows' WSL."""

from pathlib import Path

from real.harness import elf, parts, roots
from real.harness.drivers import Driver
from real.harness.layout import VULKAN, VULKAN_X86_64, XORG_CONFIG, Layout, below
from real.harness.sparse import copy


def gke(driver: Driver, root: Path, *, whole: bool) -> Layout:
    """COS on GKE: /home/kubernetes/bin/nvidia is itself the driver root, with bin, lib64, vulkan/icd.d and firmware."""
    place = root / "home/kubernetes/bin/nvidia"
    folders = below("lib64", "") | {"program": "bin", "firmware": "firmware/nvidia/{version}", "share": "share"}
    folders |= {"data": "share/nvidia", "xorg driver": "lib64/xorg/modules/drivers"}
    folders |= {"xorg module": "lib64/xorg/modules/extensions"}
    parts.spread(
        driver, place, {kind: folder for kind, folder in folders.items() if not kind.endswith("32")}, whole=whole
    )
    (place / "share/vulkan").rename(place / "vulkan")
    roots.loaded_module(root, driver.version)
    lacks = {"/etc/OpenCL/vendors/nvidia.icd": None, XORG_CONFIG: None}
    return Layout("gke", place, root, driver.version, driver.branch, ("lib64",), lacks, compat32=False)


def nixos(driver: Driver, root: Path, *, whole: bool) -> Layout:
    """/run/opengl-driver: links into the store for each file, programs in the system profile, no linker cache, no /usr/lib."""
    store = "nix/store"
    package = f"{store}/z8q2ygi5kbn4vsm1h7cr3xwp0dj9l6fa-nvidia-x11-{driver.version}-6.6.90"
    package32 = f"{store}/1kd0v7mzx4cqjn2l8wph5r9ba3gys6fi-nvidia-x11-{driver.version}-6.6.90-lib32"
    firmware = f"{store}/7rp0iv6dcz3l9hqkx1bs8m5nwj2y4gfa-nvidia-x11-{driver.version}-6.6.90-firmware/lib/firmware"
    folders = below(f"{package}/lib", f"{package32}/lib") | {"firmware": f"{firmware}/nvidia/{{version}}"}
    folders |= {"program": f"{package}-bin/bin", "data": f"{package}/share/nvidia", "share": f"{package}/share"}
    folders |= {"opencl": f"{package}/etc/OpenCL/vendors", "xorg driver": f"{package}/lib/xorg/modules/drivers"}
    folders |= {"xorg module": f"{package}/lib/xorg/modules/extensions"}
    parts.spread(driver, root, {kind: place for kind, place in folders.items() if "beside" not in kind}, whole=whole)
    vulkan = root / package / "share/vulkan/icd.d"
    (vulkan / "nvidia_icd.json").rename(vulkan / "nvidia_icd.x86_64.json")
    joined, joined32 = (
        f"{store}/0m4xyc3jqsd7b1lh2v5i8grzk9n6pfaw-graphics-drivers",
        f"{store}/9ndqx3k5b0zi7vwr2l8hmsg4cya1jpf6-graphics-drivers-32bit",
    )
    system = f"{store}/3hb6y1qzv0kpcxs8m2lw7j5a4rdn9gfi-system-path"
    for source, target in ((package, joined), (package32, joined32), (f"{package}-bin", system)):
        _link_all(root, source, target)
    for link, target in {
        "run/opengl-driver": joined,
        "run/opengl-driver-32": joined32,
        "run/current-system/sw": system,
        "run/current-system/firmware": firmware,
    }.items():
        (root / link).parent.mkdir(parents=True, exist_ok=True)
        (root / link).symlink_to(f"/{target}")
    _write(root / "sys/module/firmware_class/parameters/path", "/run/current-system/firmware\n")
    _write(root / "etc/os-release", 'ID=nixos\nVERSION_ID="24.11"\nVERSION_CODENAME=vicuna\n')
    roots.loaded_module(root, driver.version)
    differs = {VULKAN: VULKAN_X86_64, XORG_CONFIG: None}
    return Layout("nixos", root, root, driver.version, driver.branch, (f"{package}/lib",), differs)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _link_all(root: Path, source: str, target: str) -> None:
    """What Nix makes of a package in an environment: the same folders, and an absolute link for each file."""
    for path in (root / source).rglob("*"):
        if path.is_symlink() or not path.is_dir():
            place = root / target / path.relative_to(root / source)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(f"/{path.relative_to(root)}")


def wsl(driver: Driver, root: Path, *, whole: bool) -> Layout:
    """Windows' driver: /usr/lib/wsl/lib, and driver stores of which one holds libcuda.so.1.1. Nothing carries a version."""
    roots.base(root, "ubuntu 24.04 noble", multiarch=True)
    lib, store = root / "usr/lib/wsl/lib", root / "usr/lib/wsl/drivers/nv_dispi.inf_amd64_1a5b42a6e0d3c7f8"
    v = driver.version
    have = {part.name: part for part in parts.parts(driver) if part.bits == 64 and part.link is None}
    store.mkdir(parents=True)
    lib.mkdir()
    for name, source in {
        "drivers/libcuda.so.1.1": f"libcuda.so.{v}",
        "drivers/libnvidia-ml.so.1": f"libnvidia-ml.so.{v}",
        "drivers/libnvidia-ptxjitcompiler.so.1": f"libnvidia-ptxjitcompiler.so.{v}",
        "drivers/nvidia-smi": "nvidia-smi",
        "lib/nvidia-smi": "nvidia-smi",
    }.items():
        folder, _, file = name.partition("/")
        origin = driver.whole / source if whole and (driver.whole / source).exists() else have[source].source
        copy(str(origin), str((lib if folder == "lib" else store) / file))
    for name in ("libcuda_loader.so", "libnvidia-ml_loader.so", "libnvdxgdmal.so.1", "libnvwgf2umx.so"):
        elf.write_library(str(store / name), name, size=200_000)
    for name in ("nvcubins.bin", "nvopencl64.dll"):
        (store / name).write_bytes(b"MZ" + bytes(4094))
    # Copies of the loaders, not links: that is what Windows mounts here.
    for name, soname in {
        "libcuda.so": "libcuda.so.1",
        "libcuda.so.1": "libcuda.so.1",
        "libcuda.so.1.1": "libcuda.so.1",
    }.items():
        elf.write_library(str(lib / name), soname, size=160_000)
    for name in (
        "libdxcore.so",
        "libd3d12.so",
        "libd3d12core.so",
        "libnvidia-ml.so.1",
        "libnvidia-encode.so.1",
        "libnvcuvid.so.1",
    ):
        elf.write_library(str(lib / name), name, size=120_000)
    other = root / "usr/lib/wsl/drivers/iigd_dch.inf_amd64_05f6b1d4c2a39e87"
    other.mkdir()
    elf.write_library(str(other / "libigd12umd64.so"), "libigd12umd64.so", size=90_000)
    _write(root / "proc/sys/kernel/osrelease", "5.15.167.4-microsoft-standard-WSL2\n")
    roots.linker_cache(root, ("/usr/lib/wsl/lib",))
    return Layout("wsl", root, root, v, driver.branch, (str(store.relative_to(root)),), compat32=False)
