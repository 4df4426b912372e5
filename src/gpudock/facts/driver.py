"""The driver's user space: files, links and sockets."""

from gpudock.facts.base import Fact, Missing


class Elf(Fact, frozen=True):
    soname: str | None  # None: the file has no DT_SONAME
    bits: int  # 32 or 64
    machine: int  # e_machine
    cache_flags: int  # what ld.so.cache calls this architecture


class DriverFile(Fact, frozen=True):
    """A regular file of the driver. Identity (inode, size, mtime) tells later whether it is still the same file."""

    role: str  # "library", "binary", "config", "firmware", "xorg", "data" (beside the libraries)
    name: str  # how programs call it: "libcuda.so.550.163.01", "nvidia-smi", "vulkan/icd.d/nvidia_icd.json"
    path: (
        str  # inside the driver root, links resolved: "/usr/lib/x86_64-linux-gnu/nvidia/current/libcuda.so.535.261.03"
    )
    host: str  # the same on this machine
    size: int
    mtime_ns: int
    inode: int
    mode: int  # permission bits
    version: str | None = None  # of the driver, as the name or folder carries it; None: the name carries none
    elf: Elf | None = None
    links: tuple[str, ...] = ()  # base names of links beside it that lead to it, sorted: "libcuda.so", "libcuda.so.1"


class Socket(Fact, frozen=True):
    """An IPC endpoint of a driver service."""

    path: str  # "/run/nvidia-persistenced/socket"
    host: str
    is_folder: bool = False  # the MPS pipe folder


class DriverFiles(Fact, frozen=True, tag_field="is", tag="files"):
    root: str  # the driver root, on this machine
    version: str | Missing  # of the user space, from libcuda or libnvidia-ml
    files: tuple[DriverFile, ...] = ()
    stale: tuple[DriverFile, ...] = ()  # of another version than the user space
    sockets: tuple[Socket, ...] = ()
    library_folders: tuple[str, ...] = ()  # where they were found, inside the root
    store: str | None = None  # WSL: the Windows driver store in use, on this machine
