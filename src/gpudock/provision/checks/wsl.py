"""WSL: Windows' driver in Linux."""

from collections.abc import Iterator

from gpudock.facts.gpu import Nvml
from gpudock.facts.snapshot import Snapshot
from gpudock.provision.check import ERROR, NOTE, WARNING, Check, Seen, check
from gpudock.provision.install import wsl
from gpudock.provision.machine import engines, numbers, packages

CHECKS: list[Check] = []
_LINUX_DRIVER = (
    r"nvidia-driver(?:-\S+)?|libnvidia-compute-\d+\S*|libcuda1|nvidia-kernel-\S+|nvidia-dkms-\S+|cuda-drivers\S*"
)


@check(
    CHECKS,
    "wsl-1",
    ERROR,
    "This is WSL 1, which has no GPUs",
    cause="The distribution runs under WSL 1, or Windows is older than 10 version 21H2.",
    fix=("# in PowerShell:", "wsl --list --verbose", "wsl --set-version NAME 2", "wsl --set-default-version 2"),
    messages=("WSL environment detected but no adapters were found",),
    references=("NVIDIA/nvidia-container-toolkit#155", "NVIDIA/nvidia-docker#1692"),
)
def wsl_1(machine: Snapshot) -> Iterator[str]:
    kernel = machine.system.kernel
    if machine.system.wsl and isinstance(kernel, str) and "wsl2" not in kernel.lower() and numbers(kernel) < (4, 19):
        yield f"kernel {kernel}"


@check(
    CHECKS,
    "wsl-kernel",
    WARNING,
    "WSL's kernel is old",
    cause=f"CUDA needs {wsl.FIRST_KERNEL.text} at least; Microsoft asks for {wsl.KERNEL.text} or newer.",
    fix=("# in PowerShell:", "wsl --update", "wsl --shutdown"),
    references=(wsl.KERNEL.source, wsl.FIRST_KERNEL.source),
)
def wsl_kernel(machine: Snapshot) -> Iterator[str]:
    version = numbers(machine.system.kernel)
    if machine.system.wsl and (4, 19) <= version < wsl.KERNEL.version:
        yield f"Linux {machine.system.kernel}" + (", too old for CUDA" if version < wsl.FIRST_KERNEL.version else "")


@check(
    CHECKS,
    "wsl-no-adapter",
    ERROR,
    "WSL has no GPU adapter",
    cause="/dev/dxg is not there: Windows has no NVIDIA driver with WSL support, or nested virtualisation hides "
    "the GPU.",
    fix=(
        "# on Windows, install NVIDIA's driver (never a Linux driver in WSL); then in PowerShell:",
        "wsl --update",
        "wsl --shutdown",
    ),
    messages=("WSL environment detected but no adapters were found", "nvidia-container-cli: initialization error: WSL"),
    references=(
        "NVIDIA/nvidia-container-toolkit#155",
        "NVIDIA/nvidia-container-toolkit#157",
        "NVIDIA/nvidia-docker#1551",
    ),
)
def wsl_no_adapter(machine: Snapshot) -> Iterator[str]:
    kernel = machine.system.kernel
    second = isinstance(kernel, str) and ("wsl2" in kernel.lower() or numbers(kernel) >= (4, 19))
    if machine.system.wsl and second and not any(node.path == "/dev/dxg" for node in machine.nodes):
        yield "there is no /dev/dxg"


@check(
    CHECKS,
    "wsl-linux-driver",
    ERROR,
    "A Linux driver is installed in WSL",
    cause="WSL uses Windows' driver, in /usr/lib/wsl/lib. A Linux driver's libraries beside it are found first, "
    "and work "
    "with no device here.",
    fix=("sudo apt-get purge 'nvidia-driver-*' 'libnvidia-compute-*' cuda-drivers", "sudo ldconfig"),
    messages=(
        "libnvidia-ml.so.1: file exists: unknown",
        "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver",
    ),
    references=(
        "NVIDIA/nvidia-docker#1797",
        "NVIDIA/nvidia-container-toolkit#289",
        "NVIDIA/nvidia-container-toolkit#176",
    ),
)
def wsl_linux_driver(machine: Snapshot) -> Iterator[str]:
    if machine.system.wsl:
        yield from (f"{each.name} {each.version}" for each in packages(machine, _LINUX_DRIVER))


@check(
    CHECKS,
    "wsl-windows-driver",
    ERROR,
    "Windows' driver is too old for WSL",
    cause=f"NVIDIA's drivers for Windows have CUDA for WSL 2 from {wsl.DRIVER.text} on.",
    fix=("# on Windows, install a current driver from nvidia.com, then in PowerShell: wsl --shutdown",),
    references=(wsl.DRIVER.source,),
)
def wsl_windows_driver(machine: Snapshot) -> Iterator[str]:
    if machine.system.wsl and isinstance(machine.nvml, Nvml) and () < numbers(machine.nvml.driver) < wsl.DRIVER.version:
        yield f"driver {machine.nvml.driver}"


@check(
    CHECKS,
    "wsl-desktop",
    NOTE,
    "Docker is Docker Desktop's, in another WSL distribution or a virtual machine",
    cause="With its WSL 2 engine it gives GPUs by itself with --gpus all; gpudock's runtime and specification are of "
    "this distribution. With its Hyper-V engine, and with Windows containers, there is no CUDA.",
    fix=(
        "docker run --gpus all …    # Docker Desktop's own way",
        "# or install docker in this distribution: gpudock install",
    ),
    references=(wsl.DOCKER,),
)
def wsl_desktop(machine: Snapshot) -> Iterator[Seen]:
    for engine in engines(machine, "docker"):
        if machine.system.wsl and engine.desktop:
            way = wsl.way(engine.containers, engine.kernel)
            fix = () if way.gpus else (f"# {way.what}",)
            yield Seen(f"docker info: {way.name}", fix, "" if way.gpus else ERROR)
