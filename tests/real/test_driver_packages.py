"""The driver files that other tests stand on: packages complete, names real, holes only where nobody looks."""

import json
import os
import re
import sys
from pathlib import Path

import pytest

from real.harness import drivers, sparse
from real.harness.commands import run
from real.harness.expected import expected
from real.harness.parts import parts

pytestmark = [pytest.mark.real, pytest.mark.debian]
BRANCHES = ("470", "535", "550")
CURRENT = (
    *(
        "libcuda1",
        "libcudadebugger1",
        "libegl-nvidia0",
        "libgl1-nvidia-glvnd-glx",
        "libgles-nvidia1",
        "libgles-nvidia2",
    ),
    *("libglx-nvidia0", "libnvcuvid1", "libnvidia-allocator1", "libnvidia-api1", "libnvidia-cfg1", "libnvidia-eglcore"),
    *(
        "libnvidia-encode1",
        "libnvidia-fbc1",
        "libnvidia-glcore",
        "libnvidia-glvkspirv",
        "libnvidia-ml1",
        "libnvidia-ngx1",
    ),
    *("libnvidia-nvvm4", "libnvidia-opticalflow1", "libnvidia-pkcs11-openssl3", "libnvidia-ptxjitcompiler1"),
    *(
        "libnvidia-rtcore",
        "libnvoptix1",
        "nvidia-alternative",
        "nvidia-cuda-mps",
        "nvidia-driver-bin",
        "nvidia-egl-icd",
    ),
    *("nvidia-kernel-support", "nvidia-opencl-icd", "nvidia-smi", "nvidia-vdpau-driver", "nvidia-vulkan-icd"),
    *("xserver-xorg-video-nvidia", "firmware-nvidia-gsp", "nvidia-persistenced", "glx-alternative-nvidia"),
)
TESLA = (
    *(
        "libegl-nvidia-tesla-470-0",
        "libnvidia-tesla-470-cbl",
        "libnvidia-tesla-470-compiler",
        "libnvidia-tesla-470-cuda1",
    ),
    *(
        "libnvidia-tesla-470-ifr1",
        "libnvidia-tesla-470-ml1",
        "libnvidia-tesla-470-nvcuvid1",
        "libnvidia-tesla-470-nvvm4",
    ),
    *("libnvidia-tesla-470-nvoptix1", "nvidia-tesla-470-kernel-support", "nvidia-tesla-470-opencl-icd"),
    *("nvidia-tesla-470-smi", "xserver-xorg-video-nvidia-tesla-470", "nvidia-persistenced", "glx-alternative-nvidia"),
)


def sonames(files: list[str]) -> dict[str, str | None]:
    """DT_SONAME by file, as readelf tells; fails if readelf has to warn of any of them."""
    done = run(["readelf", "-dW", *files, os.devnull], check=False)  # with several files it names each
    assert [line for line in done.stderr.splitlines() if os.devnull not in line] == []
    told: dict[str, str | None] = {}
    for section in done.stdout.split("\nFile: ")[1:]:
        found = re.search(r"\(SONAME\).*\[(.*)\]", section)
        told[section.partition("\n")[0]] = found[1] if found else None
    return told


@pytest.mark.parametrize("branch", BRANCHES)
def test_the_packages_are_all_of_the_driver(branch: str) -> None:
    driver = drivers.fetch()[branch]
    wanted = {f"{name}:amd64" for name in (TESLA if branch == "470" else CURRENT)}
    twins = {"libcuda1:i386", "libnvidia-ml1:i386", "libnvidia-ptxjitcompiler1:i386", "libnvidia-glcore:i386"}
    if branch == "470":
        twins = {"libnvidia-tesla-470-cuda1:i386", "libnvidia-tesla-470-ptxjitcompiler1:i386"}
    assert (wanted | twins) - driver.packages.keys() == set()
    assert re.fullmatch(rf"{branch}\.\d+\.\d+", driver.version)
    empty = {name for name, package in driver.packages.items() if not package.files}
    meta = r".*-(driver|driver-libs|driver-full|egl-icd|vulkan-icd|alternative|glvnd-glx|diversions):.*"
    assert [name for name in empty if not re.fullmatch(meta, name)] == []


@pytest.mark.parametrize("branch", BRANCHES)
def test_each_file_is_decided_on_and_each_decision_has_its_file(branch: str) -> None:
    driver = drivers.fetch()[branch]
    told = expected(branch, driver.version)
    places = {"share": "/usr/share/", "data": "/usr/share/nvidia/", "opencl": "/etc/OpenCL/vendors/"}
    decided = {*told.libraries, *told.libraries32, *told.binaries, *told.xorg, *told.data, *told.optional}
    decided |= {path.replace("/etc/vulkan/", "/usr/share/vulkan/") for path in told.config} | set(told.firmware)
    have = set()
    for part in parts(driver):
        if part.link is None and part.kind != "beside":
            have.add(_decision(part.kind, part.name, driver.version, places))
    optional = {name for name in have if name in told.optional}
    assert have - decided == set()
    assert decided - set(told.optional) - have == set()
    assert optional == set(told.optional)


def _decision(kind: str, name: str, version: str, places: dict[str, str]) -> str:
    """What the data of tests/data/drivers calls a file."""
    match kind:
        case "library" if name.startswith(("libnvidia-gtk", "libnvidia-wayland")):
            return f"{name.partition('.so')[0]}.so"  # nvidia-settings has a version of its own
        case "wine":
            return f"nvidia/wine/{name}"
        case "firmware":
            return f"/lib/firmware/nvidia/{version}/{name}"
        case "xorg config":
            return f"/usr/share/X11/xorg.conf.d/{name}"
        case _:
            return places.get(kind, "") + name


@pytest.mark.parametrize("branch", BRANCHES)
def test_trimmed_libraries_still_tell_their_names(branch: str) -> None:
    driver = drivers.fetch()[branch]
    told = expected(branch, driver.version)
    for bits, files, links in ((64, told.libraries, told.links), (32, told.libraries32, told.links32)):
        sources = {
            part.source: part.name
            for part in parts(driver)
            if part.bits == bits and part.link is None and part.kind in ("library", "vdpau") and part.name in files
        }
        names = sonames(list(sources))
        assert len(names) == len(files)
        for source, soname in names.items():
            assert links.get(soname or "", soname or sources[source]) == sources[source]


@pytest.mark.parametrize("branch", BRANCHES)
def test_trimmed_and_whole_files_differ_in_content_only(branch: str) -> None:
    driver = drivers.fetch()[branch]
    trimmed = driver.root / f"usr/lib/x86_64-linux-gnu/nvidia/{driver.folder}/libcuda.so.{driver.version}"
    whole = driver.whole / trimmed.name
    assert trimmed.stat().st_size == whole.stat().st_size
    assert trimmed.stat().st_mtime == whole.stat().st_mtime
    assert trimmed.stat().st_blocks < 200 < whole.stat().st_blocks
    for flags in ("-hlW", "-dW", "-SW", "-nW"):
        texts = [run(["readelf", flags, str(file)]).stdout for file in (trimmed, whole)]
        assert texts[0] == texts[1]


def test_the_cache_is_small() -> None:
    for driver in drivers.fetch().values():
        files = [path.stat() for path in driver.root.rglob("*") if path.is_file() and not path.is_symlink()]
        assert sum(file.st_size for file in files) > 400_000_000
        assert sum(file.st_blocks * 512 for file in files) < 10_000_000


_CALLS = """
import ctypes, json, sys
cuda, nvml = (ctypes.CDLL(path) for path in sys.argv[1:])
version = ctypes.c_int()
cuda.cuDriverGetVersion(ctypes.byref(version))
print(json.dumps([version.value, nvml.nvmlErrorString is not None, hasattr(nvml, "nvmlInit_v2")]))
"""


@pytest.mark.parametrize(("branch", "cuda"), [("470", 11040), ("535", 12020), ("550", 12040)])
def test_a_real_loader_opens_the_whole_files(branch: str, cuda: int) -> None:
    driver = drivers.fetch()[branch]
    paths = [str(driver.whole / f"{name}.{driver.version}") for name in ("libcuda.so", "libnvidia-ml.so")]
    assert json.loads(run([sys.executable, "-c", _CALLS, *paths]).stdout) == [cuda, True, True]


def test_sparse_copies_keep_content_size_and_times(tmp_path: Path) -> None:
    pieces = [(0, b"head" * 1024), (1 << 20, b"middle" * 4096), ((3 << 20) - 4, b"tail")]
    sparse.write_sparse(str(tmp_path / "a"), 3 << 20, pieces, mode=0o640, mtime=1_000_000_000)
    sparse.copy(str(tmp_path / "a"), str(tmp_path / "b"))
    one, two = (tmp_path / "a").stat(), (tmp_path / "b").stat()
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (one.st_mode, one.st_mtime, one.st_size) == (two.st_mode, two.st_mtime, two.st_size)
    assert two.st_blocks * 512 < 1 << 20


def test_selecting_capabilities_keeps_links_whole() -> None:
    told = expected("550", "550.163.01")
    utility = told.selected("utility")
    assert set(utility.libraries) == {"libnvidia-ml.so.550.163.01", "libnvidia-cfg.so.550.163.01"}
    assert utility.links == {
        "libnvidia-ml.so.1": "libnvidia-ml.so.550.163.01",
        "libnvidia-cfg.so.1": "libnvidia-cfg.so.550.163.01",
    }
    assert utility.libraries32 == {}
    video = told.selected("video", "compat32")
    assert {"libcuda.so.550.163.01", "libnvcuvid.so.550.163.01"} <= video.libraries.keys() & video.libraries32.keys()
    assert video.links["libcuda.so"] == video.links32["libcuda.so"] == "libcuda.so.1"
    assert "libnvidia-glcore.so.550.163.01" not in video.libraries
    needed = {"libnvidia-gpucomp.so.550.163.01", "libnvidia-allocator.so.550.163.01"}
    assert needed <= told.selected("graphics").libraries.keys()  # glcore links the one, GBM loads the other
    assert told.may_have("libnvidia-gtk3.so.550.163.01")
    assert not told.may_have("libcuda.so.550.163.01")
