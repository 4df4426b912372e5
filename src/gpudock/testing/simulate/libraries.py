"""Which files a driver of a given branch has, and what each is: a table, no I/O."""

from dataclasses import dataclass

from gpudock.errors import UsageError

_ALWAYS = 10_000
LAYOUTS = ("debian", "fedora")


@dataclass(frozen=True, slots=True)
class Library:
    stem: str  # "libnvidia-ml"
    soname: str | None  # suffix: ".so.1"; None: the versioned name is the SONAME
    since: int = 0
    until: int = _ALWAYS  # first branch without it
    development_link: bool = False  # there is a plain .so too
    folder: str = ""  # below the library folder
    own_version: str | None = None  # not the driver's


NVML = Library("libnvidia-ml", ".so.1", development_link=True)
CUDA = Library("libcuda", ".so.1", development_link=True)

# Files without a function here. Branches: where the name came and went.
PLACEHOLDERS = (
    Library("libcudadebugger", ".so.1", since=515),
    Library("libnvidia-cfg", ".so.1"),
    Library("libnvidia-ptxjitcompiler", ".so.1"),
    Library("libnvidia-nvvm", ".so.4", since=495),
    Library("libnvidia-compiler", None, until=530),
    Library("libnvidia-fatbinaryloader", None, until=450),
    Library("libnvidia-opencl", ".so.1"),
    Library("libnvidia-gpucomp", None, since=545),
    Library("libnvidia-pkcs11-openssl3", None, since=535),
    Library("libnvidia-allocator", ".so.1", since=430),
    Library("libnvidia-encode", ".so.1", development_link=True),
    Library("libnvcuvid", ".so.1", development_link=True),
    Library("libnvidia-opticalflow", ".so.1", since=410),
    Library("libvdpau_nvidia", ".so.1", folder="vdpau"),
    Library("libGLX_nvidia", ".so.0"),
    Library("libEGL_nvidia", ".so.0"),
    Library("libGLESv1_CM_nvidia", ".so.1"),
    Library("libGLESv2_nvidia", ".so.2"),
    Library("libnvidia-glcore", None),
    Library("libnvidia-eglcore", None),
    Library("libnvidia-glsi", None),
    Library("libnvidia-tls", None),
    Library("libnvidia-glvkspirv", None, since=390),
    Library("libnvidia-rtcore", None, since=410),
    Library("libnvidia-fbc", ".so.1"),
    Library("libnvidia-ifr", ".so.1", until=495),
    Library("libnvidia-ngx", ".so.1", since=410),
    Library("libnvoptix", ".so.1", since=410),
    Library("libnvidia-egl-gbm", ".so.1", since=495, own_version="1.1.2"),
    Library("libnvidia-egl-wayland", ".so.1", since=378, own_version="1.1.19"),
)
PROGRAMS = ("nvidia-debugdump", "nvidia-persistenced", "nvidia-cuda-mps-control", "nvidia-cuda-mps-server")


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a library's file and links go, below the driver root."""

    path: str
    soname: str
    links: dict[str, str]  # path -> target


def place(library: Library, driver: str, folder: str) -> Placed:
    folder = f"{folder}/{library.folder}".rstrip("/")
    versioned = f"{library.stem}.so.{library.own_version or driver}"
    soname = versioned if library.soname is None else library.stem + library.soname
    links = {f"{folder}/{soname}": versioned} if soname != versioned else {}
    if library.development_link:
        links[f"{folder}/{library.stem}.so"] = soname
    return Placed(f"{folder}/{versioned}", soname, links)


def placeholders(branch: int) -> list[Library]:
    return [library for library in PLACEHOLDERS if library.since <= branch < library.until]


def library_folder(layout: str, architecture: str) -> str:
    """Below the driver root; `architecture` as uname -m spells it. Raises UsageError for an unknown layout."""
    if layout not in LAYOUTS:
        raise UsageError(f"No driver layout is called {layout!r}.", mend="choose one of " + ", ".join(LAYOUTS))
    return f"usr/lib/{architecture}-linux-gnu" if layout == "debian" else "usr/lib64"
