"""Finds the driver's user space below a driver root: by folder, by linker cache and by links, on any distribution."""

import os
import re
import stat
from collections.abc import Iterable, Iterator

from gpudock.facts.base import Missing
from gpudock.facts.driver import DriverFile, DriverFiles, Socket
from gpudock.host import driver_names, elf
from gpudock.host.library_folders import WSL_FOLDER, library_folders
from gpudock.host.root import Root
from gpudock.plan import ldcache

CACHE_LIMIT = 16 << 20  # bytes
VERSION = re.compile(driver_names.VERSION)
# Folders of the system itself are no pipe directory, whatever lies in them; /run/x and /dev/shm/x may be one.
NOT_FOR_PIPES = re.compile(
    r"/|/(?:bin|boot|etc|lib[^/]*|proc|root|sbin|sys|usr)(?:/.*)?|/dev(?:/(?!shm/).*)?|/[^/]+|/var/(?:lib|run|tmp|log)"
)


def read(
    root: Root, *, loaded: str | None, architecture: str, run: Root, kernel_release: str = ""
) -> DriverFiles | Missing:
    """All driver files of one version below `root`, and those of other versions as stale.

    `loaded` is the kernel module's version: when its files are there they are the driver, otherwise those that
    programs get (libcuda.so.1). `run` is the root whose /run and /tmp hold the services' sockets. Missing when there
    is no driver library at all.
    """
    folders = _library_folders(root, architecture)
    found = [file for folder in folders for file in _libraries(root, folder)]
    if not any(_leads(file) for file in found):
        return Missing(f"no libcuda.so or libnvidia-ml.so below {root.folder}")
    store = _wsl_store(root)
    version = _version(root, folders, found, loaded)
    found += _xorg(root, folders)
    found += _beside(root, folders)
    found += _binaries(root, folders, store)
    found += _configs(root, folders, version)
    found += _firmware(root, folders, version, kernel_release)
    unique = {(file.role, file.path, file.name): file for file in found}.values()  # in the order that programs search
    return DriverFiles(
        root=root.folder,
        version=version or Missing("no file name carries a version"),
        files=tuple(file for file in unique if file.version in {None, version}),
        stale=tuple(file for file in unique if file.version not in {None, version}),
        sockets=tuple(_sockets(run)),
        library_folders=folders,
        store=root.host(store) if store else None,
    )


def _library_folders(root: Root, architecture: str) -> tuple[str, ...]:
    """Real folders that hold driver libraries, those that programs find first in front."""
    candidates: list[str] = []
    try:
        entries = ldcache.entries(root.read("/etc/ld.so.cache", CACHE_LIMIT))
    except (OSError, ldcache.CacheError):
        entries = []
    paths = [path for _, soname, path in entries if driver_names.LIBRARY.match(soname)]
    standard = library_folders(architecture)
    paths += [f"{folder}/{name}" for folder in standard for name in driver_names.LEADERS]
    for path in dict.fromkeys(paths):
        target = root.resolve(path)
        if target:
            candidates.append(os.path.dirname(target))
    candidates += [real for folder in standard if (real := root.resolve(folder))]
    return tuple(
        folder
        for folder in dict.fromkeys(candidates)
        if not folder.endswith("/stubs")  # of the CUDA toolkit, to link against: they answer nothing
        and any(driver_names.LIBRARY.match(name) for name in root.names(folder))
    )


def _file(root: Root, path: str, role: str, name: str, links: Iterable[str] = ()) -> DriverFile | None:
    """The facts of the regular file behind `path`; None when there is none."""
    real = root.resolve(path)
    info = root.stat(real) if real else None
    if real is None or info is None or not stat.S_ISREG(info.st_mode) or info.st_size == 0:
        return None
    base = os.path.basename(real)
    in_name = driver_names.VERSION_IN_NAME.search(base)
    library = role in {"library", "xorg"}
    return DriverFile(
        role=role,
        name=name,
        path=real,
        host=root.host(real),
        size=info.st_size,
        mtime_ns=info.st_mtime_ns,
        inode=info.st_ino,
        mode=stat.S_IMODE(info.st_mode),
        version=in_name[1] if in_name else None,
        elf=elf.read(root.host(real)) if library else None,
        links=tuple(sorted(set(links) - {name})),
    )


def _libraries(root: Root, folder: str) -> Iterator[DriverFile]:
    """Libraries that are really in `folder`, each with the links beside it."""
    for sub in ("", *driver_names.LIBRARY_SUBFOLDERS):
        place = os.path.join(folder, sub) if sub else folder
        links: dict[str, list[str]] = {}
        for name in root.names(place):
            if driver_names.LIBRARY.match(name) and (real := root.resolve(f"{place}/{name}")):
                links.setdefault(real, []).append(name)
        for real, names in links.items():
            base = os.path.basename(real)
            if driver_names.LIBRARY.match(base) and os.path.dirname(real) == root.resolve(place):
                file = _file(root, real, "library", base, names)
                if file and file.elf:
                    yield file


def _leads(file: DriverFile) -> bool:
    """Without one of these two there is no driver, whatever else an uninstaller left."""
    return file.name.startswith(("libcuda.so", "libnvidia-ml.so"))


def _version(root: Root, folders: Iterable[str], found: list[DriverFile], loaded: str | None) -> str | None:
    versions = {file.version for file in found if file.version and _leads(file)}
    if loaded in versions:
        return loaded
    for folder in folders:
        for leader in driver_names.LEADERS:
            target = root.resolve(f"{folder}/{leader}")
            match = driver_names.VERSION_IN_NAME.search(target) if target else None
            if match:
                return match[1]
    return max(versions, key=lambda version: [int(part) for part in version.split(".")], default=loaded)


def _xorg(root: Root, folders: Iterable[str]) -> Iterator[DriverFile]:
    places = [f"{folder}/{sub}" for folder in folders for sub in ("", *driver_names.XORG_BELOW_LIBRARIES)]
    for parent in driver_names.XORG_PARENTS:
        places += [parent, *(f"{parent}/{sub.removeprefix('xorg/')}" for sub in driver_names.XORG_BELOW_LIBRARIES)]
        places.append(f"{parent}/current")
    seen: set[str] = set()
    for place in places:
        for name in root.names(place):
            if driver_names.XORG.match(name) and (file := _file(root, f"{place}/{name}", "xorg", name)):
                base = os.path.basename(file.path)
                if base not in seen:
                    seen.add(base)
                    yield _file(root, file.path, "xorg", base, [name]) or file


def _beside(root: Root, folders: Iterable[str]) -> Iterator[DriverFile]:
    for folder in folders:
        for sub, pattern in driver_names.DATA.items():
            for name in root.names(f"{folder}/{sub}"):
                if pattern.match(name):
                    file = _file(root, f"{folder}/{sub}/{name}", "data", f"{sub}/{name}".lstrip("/"))
                    if file:
                        yield file


def _binaries(root: Root, folders: Iterable[str], store: str | None) -> Iterator[DriverFile]:
    near = [os.path.normpath(f"{folder}/../bin") for folder in folders]
    places = [*([store] if store else []), *driver_names.BINARY_FOLDERS, *near]
    for name in driver_names.BINARIES:
        found = [file for place in places if (file := _file(root, f"{place}/{name}", "binary", name))]
        # A script of that name starts the program that is elsewhere; in a container it would start itself.
        chosen = next((file for file in found if not _is_script(file)), found[0] if found else None)
        if chosen:
            yield chosen


def _is_script(file: DriverFile) -> bool:
    try:
        with open(file.host, "rb") as opened:
            return opened.read(2) == b"#!"
    except OSError:  # it may have gone, or not be for this user to read
        return False


def _configs(root: Root, folders: Iterable[str], version: str | None) -> Iterator[DriverFile]:
    near = [os.path.normpath(f"{folder}/../share") for folder in folders]
    for name in (form.format(version=version) for form in driver_names.CONFIGS):
        for place in (*driver_names.CONFIG_FOLDERS, *near, ""):  # GKE keeps vulkan/ in the driver root itself
            file = _file(root, f"{place}/{name}", "config", name)
            if file:
                yield file
                break


def _firmware(root: Root, folders: Iterable[str], version: str | None, release: str) -> Iterator[DriverFile]:
    near = [os.path.normpath(f"{folder}/../firmware") for folder in folders]
    for place in (*driver_names.firmware_folders(release), *near):
        folder = f"{place}/nvidia/{version}"
        files = [
            file
            for name in root.names(folder)
            if driver_names.FIRMWARE.match(name) and (file := _file(root, f"{folder}/{name}", "firmware", name))
        ]
        if files:
            yield from files
            return


def _sockets(run: Root) -> Iterator[Socket]:
    for service in driver_names.SERVICES:
        for place in ("/run", "/var/run"):
            info = run.stat(f"{place}/{service}/socket")
            if info and stat.S_ISSOCK(info.st_mode):
                folder = run.resolve(f"{place}/{service}") or f"{place}/{service}"
                yield Socket(path=f"/run/{service}", host=run.host(folder), is_folder=True)
                break
    for path in driver_names.LIVE_PATHS:
        info = run.stat(path)
        if info:
            yield Socket(path=path, host=run.host(run.resolve(path) or path), is_folder=stat.S_ISDIR(info.st_mode))
    named = os.environ.get("CUDA_MPS_PIPE_DIRECTORY")
    mps = _named_mps(run, named) if named else driver_names.MPS_FOLDER
    if mps and _stays(run, mps):
        yield Socket(path=mps, host=run.host(run.resolve(mps) or mps), is_folder=True)


def _named_mps(run: Root, named: str) -> str | None:
    """The folder that the caller's environment names, if MPS really works there: all containers may write into it."""
    folder = "/" + os.path.normpath(named).lstrip("/")  # with a slash at the end a link would pass for a folder
    real = run.resolve(folder)
    control = run.lstat(f"{folder}/control")
    if not named.startswith("/") or real is None or control is None:
        return None
    if NOT_FOR_PIPES.fullmatch(folder) or NOT_FOR_PIPES.fullmatch(real):
        return None
    return folder if stat.S_ISSOCK(control.st_mode) or stat.S_ISFIFO(control.st_mode) else None


def _stays(root: Root, folder: str) -> bool:
    """Whether nobody else can put a link in the folder's place: in /tmp anybody may make one that leads to /."""
    info = root.stat(folder)
    return (
        info is not None
        and stat.S_ISDIR(info.st_mode)
        and info.st_uid in {0, os.geteuid()}
        and root.readlink(folder) is None
    )


def _wsl_store(root: Root) -> str | None:
    """The folder of the Windows driver store that holds libcuda.so.1.1."""
    drivers = f"{WSL_FOLDER}/drivers"
    for name in root.names(drivers):
        if root.stat(f"{drivers}/{name}/libcuda.so.1.1"):
            return f"{drivers}/{name}"
    return None
