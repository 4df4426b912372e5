"""WSL 2: what Windows, its driver and WSL's kernel must be. Data with sources, and what follows from them. Pure."""

import re
from typing import NamedTuple

MICROSOFT = "https://learn.microsoft.com/windows/ai/directml/gpu-cuda-in-wsl"
MICROSOFT_WSL = "https://learn.microsoft.com/windows/wsl/install"
NVIDIA = "https://docs.nvidia.com/cuda/wsl-user-guide/"
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
WINDOWS_11 = Least("Windows 11", (10, 0, 22000), "", MICROSOFT)
WSL_INSTALL = Least("wsl --install", (10, 0, 19041), "WSL must be switched on as a Windows feature", MICROSOFT_WSL)
KERNEL = Least("WSL's kernel", (5, 10, 43, 3), "CUDA in WSL fails or is slow", MICROSOFT)
DRIVER = Least("NVIDIA's driver for Windows", (495,), "there is no libcuda.so.1 in /usr/lib/wsl/lib", NVIDIA)
WSL_SYSTEMD = Least("WSL", (0, 67, 6), "WSL starts no systemd, and so no docker.service", SYSTEMD)
ALL = (WINDOWS_10, WINDOWS_11, WSL_INSTALL, KERNEL, DRIVER, WSL_SYSTEMD)


class Way(NamedTuple):
    """A way in which Windows machines run containers."""

    name: str
    gpus: bool
    told_by: str
    what: str


WAYS = (
    Way("docker in WSL 2", True, "docker info in WSL names a local engine", "gpudock works as on Linux"),
    Way(
        "Docker Desktop, WSL 2 engine",
        True,
        "docker context: desktop-linux; kernel: microsoft-standard-WSL2",
        "docker run --gpus all works by Docker Desktop's own means; gpudock cannot configure the engine inside",
    ),
    Way("Docker Desktop, Hyper-V engine", False, "kernel: linuxkit", "no GPU: choose the WSL 2 engine in the settings"),
    Way("Windows containers", False, "docker info: OSType windows", "no CUDA: DirectX only, by --device class/..."),
)


def numbers(text: str) -> tuple[int, ...]:
    """Of "5.15.153.1-microsoft-standard-WSL2" the four."""
    found = re.match(r"\d+(?:\.\d+)*", text.strip())
    return tuple(int(each) for each in found[0].split(".")) if found else ()


def below(least: Least, text: str) -> str:
    """What is wrong with this version, "" when nothing is; also for a text that is none, which says nothing."""
    version = numbers(text)
    if not version or version >= least.version:
        return ""
    return f"{least.what} is {'.'.join(map(str, version))}, older than {least.text}: {least.without}"


def driver_of_windows(version: str) -> str:
    """Windows calls NVIDIA's 536.23 "31.0.15.3623": the last five digits."""
    digits = "".join(version.split(".")[-2:])[-5:]
    return f"{int(digits[:3])}.{digits[3:]}" if len(digits) == 5 and digits.isdecimal() else ""
