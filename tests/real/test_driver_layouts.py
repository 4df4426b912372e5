"""Driver layouts are what they claim: as Debian, Ubuntu, Red Hat, the .run installer, GKE, NixOS, WSL and an H200 host."""

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from real.harness import drivers, h200, layouts
from real.harness.archive import installed
from real.harness.commands import run
from real.harness.expected import expected_of
from real.harness.layout import Layout

pytestmark = [pytest.mark.real, pytest.mark.debian]
# Where NVIDIA's toolkit looks for libraries before it asks the linker's cache.
USUAL_FOLDERS = ("", "/usr/lib64", "/usr/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu/nvidia/current", "/lib64")


@pytest.fixture(scope="module")
def layout_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Layout]:
    built: dict[str, Layout] = {}

    def get(name: str) -> Layout:
        if name not in built:
            built[name] = layouts.build(name, tmp_path_factory.mktemp("layouts") / "host")
        return built[name]

    return get


def resolved(root: Path, path: str) -> str:
    """Where a path leads when the root is "/": absolute links stay inside."""
    done = ""
    steps = [step for step in path.split("/") if step]
    for _ in range(200):
        if not steps:
            return done
        step = steps.pop(0)
        if step == "..":
            done = done.rpartition("/")[0]
            continue
        place = Path(f"{root}{done}/{step}")
        if place.is_symlink():
            target = os.readlink(place)
            done = "" if target.startswith("/") else done
            steps = [part for part in target.split("/") if part not in ("", ".")] + steps
        else:
            done = f"{done}/{step}"
    raise AssertionError(f"{path} does not end")


def cache_of(root: Path) -> list[tuple[str, str, str]]:
    """The linker's cache as ldconfig reads it: name, architecture, path."""
    said = run([str(installed("ldconfig")), "-r", str(root), "-p"]).stdout
    return re.findall(r"^\t(\S+) \((.*)\) => (\S+)$", said, re.MULTILINE)


def test_a_layout_shares_nothing_with_the_cache(tmp_path: Path) -> None:
    layout = layouts.build("ubuntu", tmp_path / "host")
    name = f"libcuda.so.{layout.version}"
    source = drivers.fetch()["550"].root / "usr/lib/x86_64-linux-gnu/nvidia/current" / name
    before = source.read_bytes()[:4096]
    (layout.root / "usr/lib/x86_64-linux-gnu" / name).write_bytes(b"overwritten")
    assert source.read_bytes()[:4096] == before


def test_whole_layouts_hold_loadable_files(tmp_path: Path) -> None:
    layout = layouts.build("rhel", tmp_path / "host", "535", whole=True)
    driver = drivers.fetch()["535"]
    for name, folder in ((f"libcuda.so.{layout.version}", "usr/lib64"), ("nvidia-smi", "usr/bin")):
        assert (layout.root / folder / name).read_bytes() == (driver.whole / name).read_bytes()
    twin = layout.root / f"usr/lib/libcuda.so.{layout.version}"
    assert twin.read_bytes()[4] == 1  # ELFCLASS32: not replaced


@pytest.mark.parametrize("name", [name for name in layouts.NAMES if name != "wsl"])
def test_a_layout_holds_the_whole_driver(name: str, layout_of: Callable[[str], Layout]) -> None:
    layout = layout_of(name)
    told = expected_of(layout)
    have = {path.name for path in layout.root.rglob("*") if path.is_symlink() or path.is_file()}
    wanted = {
        *told.libraries,
        *told.libraries32,
        *told.binaries,
        *told.xorg,
        *(os.path.basename(path) for path in told.data),
    }
    wanted |= {os.path.basename(path) for path in (*told.config, *told.firmware)}
    assert wanted - have == set()
    assert {path.name for folder in layout.libraries for path in (layout.root / folder).glob("lib*.so*")} >= {
        name for name in told.libraries if "vdpau" not in name
    }
    assert (layout.dev_root / "proc/driver/nvidia/version").read_text().split()[7] == layout.version


@pytest.mark.parametrize("name", ["debian", "tesla-470", "ubuntu", "rhel", "runfile", "opt", "split", "h200"])
def test_the_linker_cache_leads_to_the_active_driver(name: str, layout_of: Callable[[str], Layout]) -> None:
    layout = layout_of(name)
    told = expected_of(layout)
    found = {(soname, arch): resolved(layout.root, path) for soname, arch, path in cache_of(layout.root)}
    for soname in ("libcuda.so.1", "libnvidia-ml.so.1", "libnvidia-nvvm.so.4", "libGLX_nvidia.so.0"):
        assert found[soname, "libc6,x86-64"].rpartition("/")[2] == told.links[soname]
    if layout.compat32:
        assert found["libcuda.so.1", "libc6"].rpartition("/")[2] == f"libcuda.so.{layout.version}"
        assert found["libcuda.so.1", "libc6"] != found["libcuda.so.1", "libc6,x86-64"]


def test_debian_goes_through_absolute_alternatives(layout_of: Callable[[str], Layout]) -> None:
    root = layout_of("debian").root
    libraries = "/usr/lib/x86_64-linux-gnu"
    for link, target in {
        f"{libraries}/libcuda.so.1": "/etc/alternatives/nvidia--libcuda.so.1-x86_64-linux-gnu",
        "/etc/alternatives/nvidia--libcuda.so.1-x86_64-linux-gnu": f"{libraries}/nvidia/current/libcuda.so.1",
        f"{libraries}/libnvidia-cfg.so.1": "/etc/alternatives/glx--libnvidia-cfg.so.1-x86_64-linux-gnu",
        "/etc/alternatives/glx--libnvidia-cfg.so.1-x86_64-linux-gnu": f"{libraries}/nvidia/libnvidia-cfg.so.1",
        f"{libraries}/nvidia/libnvidia-cfg.so.1": "/etc/alternatives/nvidia--libnvidia-cfg.so.1-x86_64-linux-gnu",
        "/usr/bin/nvidia-smi": "/etc/alternatives/nvidia--nvidia-smi",
        "/usr/share/X11/xorg.conf.d/nvidia-drm-outputclass.conf": "/etc/alternatives/glx--nvidia-drm-outputclass.conf",
        "/usr/lib/xorg/modules/drivers/nvidia_drv.so": "/etc/alternatives/glx--nvidia_drv.so",
        f"{libraries}/libGL.so.1": "/etc/alternatives/glx--libGL.so.1-x86_64-linux-gnu",
        "/lib": "usr/lib",
    }.items():
        assert os.readlink(f"{root}{link}") == target
    assert resolved(root, "/bin/nvidia-smi") == "/usr/lib/nvidia/current/nvidia-smi"
    assert resolved(root, f"{libraries}/libGL.so.1") == "/usr/lib/mesa-diverted/x86_64-linux-gnu/libGL.so.1.7.0"
    told = run(["update-alternatives", "--root", str(root), "--query", "nvidia"]).stdout
    assert "\nValue: /usr/lib/nvidia/current\n" in told


def test_tesla_470_is_reached_by_the_cache_and_links_only(layout_of: Callable[[str], Layout]) -> None:
    layout = layout_of("tesla-470")
    for folder in USUAL_FOLDERS:
        assert list(Path(f"{layout.root}{folder}").glob(f"libcuda.so.{layout.version}")) == []
    assert resolved(layout.root, "/lib/x86_64-linux-gnu/libcuda.so.1") == (
        f"/usr/lib/x86_64-linux-gnu/nvidia/tesla-470/libcuda.so.{layout.version}"
    )
    cached = {name for name, _, _ in cache_of(layout.root)}
    hidden = f"libnvidia-vulkan-producer.so.{layout.version}"  # neither cached nor linked: only beside libcuda
    assert hidden not in cached
    assert (layout.root / layout.libraries[0] / hidden).is_file()


def test_opt_is_reached_by_the_cache_only(layout_of: Callable[[str], Layout]) -> None:
    layout = layout_of("opt")
    places = {path.parent for path in layout.root.rglob("libcuda.so*")}
    assert places == {layout.root / "opt/nvidia-550/lib", layout.root / "opt/nvidia-550/lib32"}


def test_runfile_has_an_older_driver_beside(layout_of: Callable[[str], Layout]) -> None:
    layout = layout_of("runfile")
    older = drivers.fetch()["535"].version
    folder = layout.root / layout.libraries[0]
    assert {path.name for path in folder.glob("libcuda.so*")} == {
        *("libcuda.so", "libcuda.so.1", f"libcuda.so.{older}", f"libcuda.so.{layout.version}")
    }
    assert (folder / f"libnvidia-glcore.so.{older}").is_file()
    assert (layout.root / f"usr/lib/firmware/nvidia/{older}/gsp_ga10x.bin").is_file()
    assert not any(older in os.readlink(path) for path in folder.rglob("*") if path.is_symlink())


def test_rhel_keeps_32_bit_twins_in_usr_lib(layout_of: Callable[[str], Layout]) -> None:
    layout = layout_of("rhel")
    classes = {place: Path(f"{layout.root}/usr/{place}/libcuda.so.1").read_bytes()[4] for place in ("lib", "lib64")}
    assert classes == {"lib": 1, "lib64": 2}
    assert ("libcuda.so.1", "libc6,x86-64", "/lib64/libcuda.so.1") in cache_of(layout.root)


def test_nixos_has_neither_a_cache_nor_usual_folders(layout_of: Callable[[str], Layout]) -> None:
    layout = layout_of("nixos")
    assert not (layout.root / "etc/ld.so.cache").exists()
    assert not (layout.root / "usr").exists()
    library = resolved(layout.root, "/run/opengl-driver/lib/libcuda.so.1")
    assert library.startswith("/nix/store/")
    assert library.endswith(f"/lib/libcuda.so.{layout.version}")
    assert resolved(layout.root, "/run/current-system/sw/bin/nvidia-smi").endswith("-bin/bin/nvidia-smi")
    assert Path(f"{layout.root}{resolved(layout.root, '/run/opengl-driver-32/lib/libcuda.so.1')}").read_bytes()[4] == 1
    parameter = (layout.root / "sys/module/firmware_class/parameters/path").read_text().strip()
    firmware = resolved(layout.root, f"{parameter}/nvidia/{layout.version}/gsp_tu10x.bin")
    assert Path(f"{layout.root}{firmware}").is_file()


def test_gke_is_a_root_of_its_own(layout_of: Callable[[str], Layout]) -> None:
    layout = layout_of("gke")
    assert layout.root == layout.dev_root / "home/kubernetes/bin/nvidia"
    assert (layout.root / "bin/nvidia-smi").is_file()
    assert (layout.root / "vulkan/icd.d/nvidia_icd.json").is_file()


def test_split_keeps_the_device_nodes_elsewhere(layout_of: Callable[[str], Layout]) -> None:
    layout = layout_of("split")
    assert layout.root == layout.dev_root / "run/nvidia/driver"
    assert (layout.dev_root / "dev").is_dir()
    assert not (layout.root / "dev").exists()


def test_wsl_has_one_store_with_the_driver(layout_of: Callable[[str], Layout]) -> None:
    layout = layout_of("wsl")
    stores = layout.root / "usr/lib/wsl/drivers"
    assert [f"usr/lib/wsl/drivers/{path.parent.name}" for path in stores.glob("*/libcuda.so.1.1")] == list(
        layout.libraries
    )
    assert len(list(stores.iterdir())) == 2
    store = {path.name for path in (layout.root / layout.libraries[0]).iterdir()}
    assert store >= {
        *("libcuda.so.1.1", "libcuda_loader.so", "libnvidia-ptxjitcompiler.so.1", "libnvidia-ml.so.1"),
        *("libnvidia-ml_loader.so", "libnvdxgdmal.so.1", "nvcubins.bin", "nvidia-smi"),
    }
    assert not any(path.is_symlink() for path in (layout.root / "usr/lib/wsl").rglob("*"))
    assert ("libdxcore.so", "libc6,x86-64", "/usr/lib/wsl/lib/libdxcore.so") in cache_of(layout.root)


def test_h200_is_the_listed_host(layout_of: Callable[[str], Layout]) -> None:
    root = layout_of("h200").root
    for row in h200.listing():
        place = Path(f"{root}{row.path}")
        assert (os.readlink(place) if place.is_symlink() else None) == row.link
        if row.kind == "-":
            assert (place.stat().st_size, place.stat().st_mode & 0o777) == (row.size, row.mode)
    ours = [(name, path) for name, _, path in cache_of(root)]
    known = h200.cached()
    cut = ("libcuda", "libE", "libG")  # the host's listing ends before these
    assert [row for row in ours if not row[0].startswith(cut)] == known


def test_h200_libraries_can_be_loaded(layout_of: Callable[[str], Layout]) -> None:
    libraries = sorted((layout_of("h200").root / "usr/local/nvidia/lib64").glob("lib*.so.580.*"))
    assert {path.name for path in libraries} == set(expected_of(layout_of("h200")).libraries)
    code = "import ctypes, sys; print(len([ctypes.CDLL(path) for path in sys.argv[1:]]))"
    assert int(run([sys.executable, "-c", code, *map(str, libraries)]).stdout) == len(libraries)
