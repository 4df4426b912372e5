"""What the driver tree of a capability set holds, and what a container finds outside of it. Pure.

Tree: bin/, lib64/ (64-bit libraries and their data), lib/ (32-bit), share/ and firmware/. Inside a container it is
mounted on plan.document.MOUNT_POINT.
"""

import hashlib
from typing import NamedTuple

from gpudock.facts.driver import DriverFile, DriverFiles
from gpudock.gpu import classify
from gpudock.plan.document import MOUNT_POINT, OWN_LIBRARIES, OWN_XORG, Library, Link

# Links that no host has, or that only some packages make, and that programs open.
EXTRA_LINKS = {
    "libcuda.so.1": ("libcuda.so",),
    "libGLX_nvidia.so.0": ("libGLX_indirect.so.0",),
    "libnvidia-opticalflow.so.1": ("libnvidia-opticalflow.so",),
    "libnvidia-allocator.so.1": ("gbm/nvidia-drm_gbm.so",),
    "libnvidia-vulkan-producer.so": ("libnvidia-vulkan-producer.so",),
}
LAYOUT = 1  # part of a tree's name: grows when the same files would be laid out differently


class TreeFile(NamedTuple):
    path: str  # inside the tree
    source: DriverFile


class Content(NamedTuple):
    """One variant of the driver tree. Links are relative, and stay inside the tree."""

    files: tuple[TreeFile, ...]
    links: tuple[tuple[str, str], ...]  # (path inside the tree, target)
    libraries: tuple[Library, ...]
    places: tuple[Link, ...]


def generation(driver: DriverFiles) -> str:
    """Name of the driver tree's folder: the version, and a hash of the very files it is made of."""
    digest = hashlib.sha256(repr(LAYOUT).encode())
    for file in driver.files:
        digest.update(
            repr((file.role, file.name, file.host, file.inode, file.size, file.mtime_ns, file.links)).encode()
        )
    return f"{driver.version if isinstance(driver.version, str) else 'unversioned'}-{digest.hexdigest()[:12]}"


def content(driver: DriverFiles, capabilities: tuple[str, ...]) -> Content:
    """The tree, the linker cache entries and the fixed places of one capability set, in a stable order."""
    files: dict[str, DriverFile] = {}
    links: dict[str, str] = {}
    libraries: list[Library] = []
    chosen = [file for file in driver.files if classify.selected(file, capabilities)]
    for file in chosen:
        path = _tree_path(file)
        if path in files:  # the same file in a second folder; folders come in the order that programs search
            continue
        files[path] = file
        if file.role == "library" and file.elf:
            for name in _names(file):
                links.setdefault(f"{_folder(file)}/{name}", _relative(name, path))
            libraries += _cache_entries(file)
    links = {path: target for path, target in links.items() if path not in files}
    return Content(
        files=tuple(TreeFile(path, files[path]) for path in sorted(files)),
        links=tuple(sorted(links.items())),
        libraries=_first_of_each(libraries),
        places=tuple(sorted(_places(chosen), key=lambda link: link["path"])),
    )


def _first_of_each(libraries: list[Library]) -> tuple[Library, ...]:
    first: dict[tuple[int, str], Library] = {}
    for entry in libraries:
        first.setdefault((entry["flags"], entry["soname"]), entry)
    return tuple(first.values())


def _folder(file: DriverFile) -> str:
    return "lib" if file.elf and file.elf.bits == 32 else "lib64"


def _tree_path(file: DriverFile) -> str:
    match file.role:
        case "library" if "/vdpau/" in file.path:
            return f"{_folder(file)}/vdpau/{file.name}"
        case "library":
            return f"{_folder(file)}/{file.name}"
        case "binary":
            return f"bin/{file.name}"
        case "xorg":
            return f"lib64/xorg/{file.name}"
        case "firmware":
            return f"firmware/{file.name}"
        case "config":
            return f"share/{file.name}"
        case _:
            return f"lib64/{file.name}"


def _names(file: DriverFile) -> list[str]:
    """Names by which programs open a library, besides its own."""
    soname = file.elf.soname if file.elf else None
    names = {*file.links, *([soname] if soname else [])}
    names.update(EXTRA_LINKS.get(soname or file.name.partition(".so")[0] + ".so", ()))
    return sorted(names - {file.name})


def _relative(name: str, path: str) -> str:
    """Target for a link at `name` in the library folder that leads to the tree file `path`."""
    return "../" * name.count("/") + path.partition("/")[2]


def _cache_entries(file: DriverFile) -> list[Library]:
    """As ldconfig would list them: the SONAME, and the plain .so names that programs open."""
    if file.elf is None:
        return []
    own = file.elf.soname or file.name
    names = [
        own,
        *(name for name in _names(file) if name != own and "/" not in name and name.endswith((".so", ".so.0"))),
    ]
    folder = _folder(file)
    return [Library(flags=file.elf.cache_flags, soname=name, path=f"{MOUNT_POINT}/{folder}/{name}") for name in names]


def _places(chosen: list[DriverFile]) -> list[Link]:
    """Fixed places of the container where programs look, as links into the mounted tree."""
    places: dict[str, str] = {}
    for file in chosen:
        target = f"{MOUNT_POINT}/{_tree_path(file)}"
        if file.role == "binary":
            places[f"/usr/bin/{file.name}"] = target
        elif file.role == "config":
            places[f"{config_folder(file.name)}/{file.name}"] = target
        elif file.role == "xorg":
            sub = "drivers" if file.name.startswith("nvidia_drv") else "extensions"
            for name in (file.name, *file.links):
                places[f"{OWN_XORG}/modules/{sub}/{name}"] = target
        elif file.name.startswith("libnvidia-eglcore") and _folder(file) == "lib64":
            # libgbm has one folder for its back ends, and no way to name a second without losing Mesa's
            places[f"{OWN_LIBRARIES}/gbm/nvidia-drm_gbm.so"] = f"{MOUNT_POINT}/lib64/gbm/nvidia-drm_gbm.so"
    return [Link(path=path, target=target) for path, target in places.items()]


def config_folder(name: str) -> str:
    """Where programs in a container look for a configuration file of this name."""
    return "/etc" if name.startswith(("OpenCL/", "vulkan/", "vulkansc/")) else "/usr/share"
