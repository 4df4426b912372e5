"""Lets the image's dynamic loader find the driver: glibc by its cache and configuration, musl by its path file.

Nothing of the image is run: no ldconfig, no shell.
"""

from gpudock.plan.document import MOUNT_POINT
from gpudock.plan.ldcache import SIZE_LIMIT
from gpudock.plan.ldcache_merge import merge
from gpudock.start import compat
from gpudock.start.rootfs import ReadOnlyError, VolumeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from gpudock.plan.document import Library
    from gpudock.start.rootfs import Rootfs

FOLDERS = (MOUNT_POINT + "/lib64", MOUNT_POINT + "/lib")
CACHE = "/etc/ld.so.cache"
CONFIGURATION = "/etc/ld.so.conf"
OWN_CONFIGURATION = "/etc/ld.so.conf.d/00-gpudock.conf"
SMALL = 1 << 16  # bytes: more is no configuration file
_CUDA = "libcuda.so.1"
_SEEN = 8  # of a driver in the image so many places are looked at

# Cache flags -> the loader's place, which programs carry in them, and the image's own library folders, likeliest first.
_GLIBC = {
    0x0303: ("/lib64/ld-linux-x86-64.so.2", ("/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib")),
    0x0003: ("/lib/ld-linux.so.2", ("/usr/lib/i386-linux-gnu", "/usr/lib32", "/usr/lib")),
    0x0A03: ("/lib/ld-linux-aarch64.so.1", ("/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib")),
    0x0903: ("/lib/ld-linux-armhf.so.3", ("/usr/lib/arm-linux-gnueabihf", "/usr/lib")),
    0x0503: ("/lib64/ld64.so.2", ("/usr/lib/powerpc64le-linux-gnu", "/usr/lib64", "/usr/lib")),
}
_MUSL = {0x0303: "x86_64", 0x0003: "i386", 0x0A03: "aarch64", 0x0903: "armhf", 0x0503: "powerpc64le"}
_MUSL_DEFAULT = b"/lib:/usr/local/lib:/usr/lib"  # no longer searched once there is a path file
_STORES = ("/nix/store", "/gnu/store")


def prepare(root: "Rootfs", libraries: "list[Library]") -> "list[str]":
    """Make the loaders in the image find `libraries`, of the driver or of CUDA's forward compatibility.

    Returns what the user should know. Raises GpudockError.
    """
    kinds = {library["flags"] for library in libraries} & _GLIBC.keys() or _GLIBC.keys()
    glibc = any(root.stat(_GLIBC[flags][0]) for flags in kinds)
    musl = [_MUSL[flags] for flags in kinds if root.stat(f"/lib/ld-musl-{_MUSL[flags]}.so.1")]
    notes = _glibc(root, libraries) if glibc else []
    for name in musl:
        _musl(root, f"/etc/ld-musl-{name}.path")
    if not glibc and not musl and any(root.stat(store) for store in _STORES):
        notes.append(f"this image's programs read no linker cache: set LD_LIBRARY_PATH={FOLDERS[0]} in it")
    return notes


def own_folder(root: "Rootfs", flags: int) -> "Optional[str]":
    """The image's own folder for libraries of that architecture; None when nothing there could load them."""
    loader, folders = _GLIBC.get(flags, ("", ()))
    if not loader or root.stat(loader) is None:
        return None
    other = own_folder(root, 0x0303) if flags == 0x0003 else None
    taken = root.stat(other) if other else None
    for folder in folders:
        found = root.stat(folder)
        if found and (taken is None or (found.st_dev, found.st_ino) != (taken.st_dev, taken.st_ino)):
            return folder
    return None


def _glibc(root: "Rootfs", libraries: "list[Library]") -> "list[str]":
    old = root.read(CACHE, SIZE_LIMIT)
    added = [(library["flags"], library["soname"], library["path"]) for library in libraries]
    notes = []
    if old or added:
        merged = merge(old, added, replaces=MOUNT_POINT)
        if merged.data != old:
            root.publish(CACHE, merged.data)
        notes = [f"the loader takes {other} of the image for the driver's {name}" for name, other in merged.conflicts]
        notes += _baked(root, old or b"", libraries)
    return notes + _configure(root, libraries)


def _configure(root: "Rootfs", libraries: "list[Library]") -> "list[str]":
    """For an ldconfig that is run in the container later."""
    newer = any(library["path"].startswith(compat.FOLDER + "/") for library in libraries)
    folders = [*([compat.FOLDER] if newer else []), *FOLDERS]
    try:
        _write(root, OWN_CONFIGURATION, "".join(folder + "\n" for folder in folders).encode())
        if root.stat(CONFIGURATION) is None:
            root.publish(CONFIGURATION, b"include /etc/ld.so.conf.d/*.conf\n")
    except VolumeError as error:
        return [str(error)]
    except ReadOnlyError:  # for an ldconfig too
        return []
    return []


def _baked(root: "Rootfs", cache: bytes, libraries: "list[Library]") -> "list[str]":
    """A driver of another machine in the image, or what is left of one: the loader finds ours, but others may not."""
    notes = []
    for library in libraries:
        if library["soname"] != _CUDA:
            continue
        ours = _identity(root, library["path"])
        known = {ours, None}
        for path in [*_cached(cache), *(f"{folder}/{_CUDA}" for folder in _GLIBC.get(library["flags"], ("", ()))[1])]:
            found = None if path.startswith((MOUNT_POINT + "/", compat.FOLDER + "/")) else _identity(root, path)
            if found not in known:
                known.add(found)
                notes.append(f"this image has a libcuda of its own, {path}: programs get {library['path']} instead")
    return notes


def _cached(cache: bytes) -> "list[str]":
    """Paths that a cache lists for libcuda: looked for as text, for it was read once already."""
    end = f"/{_CUDA}\0".encode()
    found: "list[str]" = []
    at = cache.find(end)
    while at >= 0 and len(found) < _SEEN:
        start = cache.rfind(b"\0", 0, at) + 1
        found.append(cache[start : at + len(end) - 1].decode(errors="surrogateescape"))
        at = cache.find(end, at + 1)
    return found


def _identity(root: "Rootfs", path: str) -> "Optional[tuple[int, int]]":
    found = root.stat(path)
    return (found.st_dev, found.st_ino) if found else None


def _musl(root: "Rootfs", path: str) -> None:
    """The driver's folders come last: its libraries are made for glibc, and must not hide those of the image."""
    old = root.read(path, SMALL)
    listed = _MUSL_DEFAULT if old is None else old.rstrip(b"\n")
    known = listed.replace(b"\n", b":").split(b":")
    missing = [folder.encode() for folder in FOLDERS if folder.encode() not in known]
    if missing:
        root.publish(path, b"\n".join([*([listed] if listed else []), *missing, b""]))


def _write(root: "Rootfs", path: str, data: bytes) -> None:
    if root.read(path, SMALL) != data:
        root.publish(path, data)
