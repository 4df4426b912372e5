"""WSL 2: what Windows, its driver and WSL's kernel must be, and the ways of docker there. Data with sources.

Read in November 2026: Microsoft's pages as its repositories MicrosoftDocs/windows-ai-docs and MicrosoftDocs/WSL have
them; NVIDIA's guide: "R495 and later" for CUDA, and, for CUDA 11.4 still, "at least 4.19.121" for the kernel.
"""

from typing import NamedTuple

MICROSOFT = "https://learn.microsoft.com/windows/ai/directml/gpu-cuda-in-wsl"
MICROSOFT_WSL = "https://learn.microsoft.com/windows/wsl/install"
NVIDIA = "https://docs.nvidia.com/cuda/wsl-user-guide/"
NVIDIA_OLD = "https://docs.nvidia.com/cuda/archive/11.4.4/wsl-user-guide/index.html"
SYSTEMD = "https://learn.microsoft.com/windows/wsl/systemd"
DOCKER = "https://docs.docker.com/desktop/features/gpu/"


class Least(NamedTuple):
    """A version that is the least, as numbers; `without` is what happens below it."""

    what: str
    version: tuple[int, ...]
    without: str
    source: str

    @property
    def text(self) -> str:
        return ".".join(map(str, self.version))


WINDOWS_10 = Least("Windows 10 (21H2)", (10, 0, 19044), "GPUs are not seen in WSL", MICROSOFT)
WSL_INSTALL = Least("wsl --install", (10, 0, 19041), "WSL must be switched on as a Windows feature", MICROSOFT_WSL)
FIRST_KERNEL = Least("WSL's kernel, for any CUDA", (4, 19, 121), "no CUDA", NVIDIA_OLD)
KERNEL = Least("WSL's kernel", (5, 10, 43, 3), "CUDA fails or is slow", MICROSOFT)
DRIVER = Least("NVIDIA's driver for Windows", (495,), "no CUDA in WSL", NVIDIA)
WSL_SYSTEMD = Least("WSL", (0, 67, 6), "no systemd, so Docker is started by its service script", SYSTEMD)
ALL = (WINDOWS_10, WSL_INSTALL, FIRST_KERNEL, KERNEL, DRIVER, WSL_SYSTEMD)


class Way(NamedTuple):
    """A way in which Windows machines run containers."""

    name: str
    gpus: bool
    what: str


LOCAL = Way("Docker in WSL 2", gpus=True, what="gpudock works as on Linux")
DESKTOP = Way(
    "Docker Desktop, WSL 2 engine",
    gpus=True,
    what="`docker run --gpus all` by Docker Desktop's own means; gpudock cannot configure the engine inside it",
)
HYPER_V = Way("Docker Desktop, Hyper-V engine", gpus=False, what='choose "Use the WSL 2 based engine" in its settings')
WINDOWS = Way("Windows containers", gpus=False, what='choose "Switch to Linux containers..." in its menu')
WAYS = (LOCAL, DESKTOP, HYPER_V, WINDOWS)


def way(kind: str | None, kernel: str | None) -> Way:
    """Of a Docker Desktop: `docker info` tells the kind of its containers, and the kernel that they run on."""
    if kind == "windows":
        return WINDOWS
    return HYPER_V if kernel and "linuxkit" in kernel else DESKTOP
