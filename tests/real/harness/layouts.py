"""Driver roots as hosts really have them, built from real driver files: one builder for each way to lay a driver out.

layout = layouts.build("ubuntu", tmp_path / "host")                 # default branch of that layout
layout = layouts.build("debian", tmp_path / "host", "535", whole=True)
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from real.harness import drivers, h200, layouts_elsewhere, parts, roots
from real.harness.drivers import Driver
from real.harness.layout import COMMON, MULTIARCH, MULTIARCH32, VULKAN, VULKAN_X86_64, XORG_CONFIG, Layout, below
from real.harness.sparse import copy_tree


def _debian(driver: Driver, root: Path, *, whole: bool) -> Layout:
    """/usr/lib/TRIPLET/nvidia/current, or tesla-470, reached by absolute links through /etc/alternatives."""
    copy_tree(str(driver.root), str(root))
    if whole:
        parts.make_whole(driver, root)
    name = "debian" if driver.folder == "current" else driver.folder
    folders = (f"{MULTIARCH}/nvidia/{driver.folder}", MULTIARCH)
    return Layout(name, root, root, driver.version, driver.branch, folders)


def _ubuntu(driver: Driver, root: Path, *, whole: bool) -> Layout:
    """Flat in the multiarch folder, the Xorg modules in a folder below it."""
    roots.base(root, "ubuntu 24.04 noble", multiarch=True)
    xorg = f"{MULTIARCH}/nvidia/xorg"
    folders = COMMON | below(MULTIARCH, MULTIARCH32) | {"xorg driver": xorg, "xorg module": xorg}
    parts.spread(driver, root, folders, whole=whole)
    named = "/usr/share/X11/xorg.conf.d/10-nvidia.conf"
    Path(f"{root}{XORG_CONFIG}").rename(f"{root}{named}")
    return _finish("ubuntu", driver, root, MULTIARCH, differs={XORG_CONFIG: named})


def _rhel(driver: Driver, root: Path, *, whole: bool) -> Layout:
    """/usr/lib64, the 32-bit twins in /usr/lib, one Vulkan file for each architecture."""
    roots.base(root, "rhel 9.5 -", multiarch=False)
    parts.spread(driver, root, COMMON | below("usr/lib64", "usr/lib") | _xorg("usr/lib64"), whole=whole)
    folder = root / "usr/share/vulkan/icd.d"
    (folder / "nvidia_icd.json").rename(folder / "nvidia_icd.x86_64.json")
    # Red Hat's own ldconfig knows /lib64 without being told.
    return _finish("rhel", driver, root, "usr/lib64", configured=("/lib64",), differs={VULKAN: VULKAN_X86_64})


def _runfile(driver: Driver, root: Path, *, whole: bool) -> Layout:
    """The .run installer's: flat, Vulkan files in /etc, and what an older driver left behind: its libraries and firmware."""
    roots.base(root, "debian 12 bookworm", multiarch=True)
    flat = below(MULTIARCH, MULTIARCH32) | _xorg("usr/lib")
    parts.spread(driver, root, COMMON | flat, whole=whole)
    (root / "usr/share/vulkan").rename(root / "etc/vulkan")
    older = drivers.fetch()["535" if driver.branch != "535" else "470"]
    stale = flat | {"firmware": COMMON["firmware"], "data": COMMON["data"]}
    for part in parts.parts(older):
        folder = parts.folder_of(part, stale, older.version)
        if folder and part.link is None and older.version in f"{folder}/{part.name}":
            part.put(root / folder)
    return _finish("runfile", driver, root, MULTIARCH)


def _opt(driver: Driver, root: Path, *, whole: bool) -> Layout:
    """/opt/nvidia-BRANCH, which only the linker's cache and the links to its programs tell of."""
    roots.base(root, "debian 12 bookworm", multiarch=True)
    home = f"opt/nvidia-{driver.branch}"
    folders = COMMON | below(f"{home}/lib", f"{home}/lib32") | _xorg("usr/lib") | {"program": f"{home}/bin"}
    parts.spread(driver, root, folders | {"beside": MULTIARCH, "beside 32": MULTIARCH32}, whole=whole)
    for program in (root / home / "bin").iterdir():
        (root / "usr/bin" / program.name).symlink_to(f"/{home}/bin/{program.name}")
    return _finish("opt", driver, root, f"{home}/lib", configured=(f"/{home}/lib", f"/{home}/lib32"))


def _split(driver: Driver, root: Path, *, whole: bool) -> Layout:
    """The driver in a container's root at /run/nvidia/driver, the device nodes on the host."""
    inner = _ubuntu(driver, root / "run/nvidia/driver", whole=whole)
    (root / "dev").mkdir()
    roots.loaded_module(root, driver.version)
    return replace(inner, name="split", dev_root=root)


def _xorg(libraries: str) -> dict[str, str]:
    modules = f"{libraries}/xorg/modules"
    return {"xorg driver": f"{modules}/drivers", "xorg module": f"{modules}/extensions"}


def _finish(
    name: str,
    driver: Driver,
    root: Path,
    libraries: str,
    *,
    configured: tuple[str, ...] = (),
    differs: Mapping[str, str | None] | None = None,
) -> Layout:
    roots.linker_cache(root, configured)
    roots.loaded_module(root, driver.version)
    return Layout(name, root, root, driver.version, driver.branch, (libraries,), differs or {})


_BUILDERS: dict[str, tuple[str, Callable[..., Layout]]] = {
    "debian": ("535", _debian),
    "tesla-470": ("470", _debian),
    "ubuntu": ("550", _ubuntu),
    "rhel": ("550", _rhel),
    "runfile": ("550", _runfile),
    "gke": ("550", layouts_elsewhere.gke),
    "nixos": ("550", layouts_elsewhere.nixos),
    "opt": ("550", _opt),
    "wsl": ("550", layouts_elsewhere.wsl),
    "split": ("550", _split),
}
NAMES = (*_BUILDERS, "h200")


def build(name: str, root: Path, branch: str | None = None, *, whole: bool = False) -> Layout:
    """Builds a layout in a new folder (some 20 to 100 ms) from the driver of a branch: "470", "535" or "550".

    whole: libcuda, libnvidia-ml and nvidia-smi (64 bit) can be loaded and run; all other large files have holes.
    """
    root.mkdir(parents=True)
    if name == "h200":
        h200.build(root)
        return Layout(name, root, root, h200.VERSION, "580", ("usr/local/nvidia/lib64",), compat32=False)
    usual, builder = _BUILDERS[name]
    layout: Layout = builder(drivers.fetch()[branch or usual], root, whole=whole)
    return layout
