"""From the PCI bus to a driver that answers."""

from collections.abc import Iterator

from gpudock.facts.base import Missing
from gpudock.facts.driver import DriverFiles
from gpudock.facts.gpu import Nvml
from gpudock.facts.snapshot import Snapshot
from gpudock.provision.check import ERROR, WARNING, Check, Mend, check
from gpudock.provision.machine import cards, library, module, setup, user_space

CHECKS: list[Check] = []
INSTALL = ("sudo gpudock install --dry-run    # shows the steps for this system", "sudo gpudock install")
REBOOT = ("sudo reboot",)


def _unloaded(machine: Snapshot) -> bool:
    """There is a card that wants the module, which is not loaded."""
    return bool(cards(machine)) and module(machine) is None and not machine.system.wsl


def _other_driver(machine: Snapshot) -> bool:
    return any(each.kernel_driver in {"nouveau", "nova_core"} for each in cards(machine))


@check(
    CHECKS,
    "no-gpu",
    ERROR,
    "There is no NVIDIA GPU on the PCI bus",
    cause="The machine has none, it is not seated or powered, firmware hides it, or a virtual machine was not "
    "given it.",
    fix=(
        "lspci -nn -d 10de:",
        "# a virtual machine: pass the GPU through. To try gpudock without a GPU:",
        "sudo gpudock simulate make /var/lib/gpudock-simulated",
    ),
    messages=("No devices were found", "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver"),
)
def no_gpu(machine: Snapshot) -> Iterator[str]:
    if not cards(machine) and not machine.gpus and not machine.system.wsl:
        yield f"{len(machine.pci)} graphics functions on the bus, none of NVIDIA"


@check(
    CHECKS,
    "no-driver",
    ERROR,
    "The NVIDIA driver is not installed",
    cause="The GPU is on the bus, but there are neither the driver's files nor its kernel module.",
    fix=INSTALL,
    messages=(
        "nvidia-smi: command not found",
        "load library failed: libnvidia-ml.so.1: cannot open shared object file: no such file or directory",
        "No NVIDIA driver was found on this machine",
    ),
    references=("NVIDIA/nvidia-container-toolkit#154",),
)
def no_driver(machine: Snapshot) -> Iterator[str]:
    if _unloaded(machine) and isinstance(machine.driver, Missing) and setup(machine).module_built is not True:
        yield f"{cards(machine)[0].address} is an NVIDIA GPU; {machine.driver.reason}"


def _modprobe(machine: Snapshot) -> Iterator[Mend]:
    if setup(machine).module_built is True and not _other_driver(machine):
        yield Mend(("modprobe", "nvidia"), "loads the driver that is installed", "sudo modprobe -r nvidia")


@check(
    CHECKS,
    "driver-not-loaded",
    ERROR,
    "The driver is installed, but its kernel module is not loaded",
    cause="Nothing has loaded it since the machine was booted or the driver was installed.",
    fix=("sudo modprobe nvidia", "sudo dmesg | grep -i -e nvrm -e nvidia    # says why, when that fails"),
    messages=("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver",),
    mend=_modprobe,
)
def driver_not_loaded(machine: Snapshot) -> Iterator[str]:
    built = setup(machine).module_built
    if _unloaded(machine) and not _other_driver(machine) and (built is True or isinstance(machine.driver, DriverFiles)):
        if built is False or setup(machine).secure_boot is True:
            return  # their own checks tell more
        yield f"the driver's files are version {user_space(machine) or 'unknown'}, no module nvidia is loaded"


@check(
    CHECKS,
    "module-not-built",
    ERROR,
    "There is no nvidia module for the running kernel",
    cause="A new kernel was booted, and the module was not built for it: its headers were missing, or DKMS failed.",
    fix=(
        'sudo apt-get install "linux-headers-$(uname -r)"',
        "sudo dkms autoinstall",
        "sudo modprobe nvidia",
    ),
    messages=("modprobe: FATAL: Module nvidia not found in directory /lib/modules/",),
)
def module_not_built(machine: Snapshot) -> Iterator[str]:
    if _unloaded(machine) and setup(machine).module_built is False and isinstance(machine.driver, DriverFiles):
        yield f"/lib/modules/{machine.system.kernel}/modules.dep names no nvidia.ko"


@check(
    CHECKS,
    "nouveau",
    ERROR,
    "The GPU belongs to nouveau",
    cause="The kernel's own driver took the card first. NVIDIA's installer switches it off from the next boot on.",
    fix=(
        "printf 'blacklist nouveau\\noptions nouveau modeset=0\\n' | sudo tee /etc/modprobe.d/blacklist-nouveau.conf",
        "sudo update-initramfs -u    # Fedora, RHEL: sudo dracut --force",
        *REBOOT,
    ),
    messages=("ERROR: The Nouveau kernel driver is currently in use by your system",),
)
def nouveau(machine: Snapshot) -> Iterator[str]:
    for each in cards(machine):
        if each.kernel_driver in {"nouveau", "nova_core"}:
            yield f"{each.address} is bound to {each.kernel_driver}"


@check(
    CHECKS,
    "gpu-elsewhere",
    WARNING,
    "A GPU belongs to another kernel driver",
    cause="It was set aside for a virtual machine (vfio-pci), or somebody bound it by hand.",
    fix=(
        "lspci -nnk -d 10de:    # who has which",
        "# to give it back: remove its vfio-pci.ids from the kernel's command line or /etc/modprobe.d, and reboot",
    ),
    messages=("Kernel driver in use: vfio-pci",),
    references=("https://docs.kernel.org/driver-api/vfio.html",),
)
def gpu_elsewhere(machine: Snapshot) -> Iterator[str]:
    for each in cards(machine):
        if each.kernel_driver not in {None, "nvidia", "nouveau", "nova_core"}:
            yield f"{each.address} is bound to {each.kernel_driver}"


@check(
    CHECKS,
    "secure-boot",
    ERROR,
    "Secure Boot keeps the nvidia module out",
    cause="The kernel loads signed modules only, and this one was built here with a key that the firmware does not "
    "know.",
    fix=(
        "sudo mokutil --import /var/lib/shim-signed/mok/MOK.der    # Debian: /var/lib/dkms/mok.pub",
        "sudo reboot    # and choose Enroll MOK on the blue screen",
    ),
    messages=(
        "modprobe: ERROR: could not insert 'nvidia': Key was rejected by service",
        "modprobe: ERROR: could not insert 'nvidia': Operation not permitted",
        "Lockdown: modprobe: unsigned module loading is restricted",
    ),
)
def secure_boot(machine: Snapshot) -> Iterator[str]:
    facts = setup(machine)
    if _unloaded(machine) and facts.secure_boot is True and facts.module_built is True:
        yield "Secure Boot is on, an nvidia.ko is there, and it is not loaded"


@check(
    CHECKS,
    "version-mismatch",
    ERROR,
    "The driver's files and the loaded module are of different versions",
    cause="The driver was upgraded; the old module stays in the kernel until the machine is rebooted.",
    fix=(
        *REBOOT,
        (
            "# or, when nothing uses the GPUs: sudo rmmod nvidia_drm nvidia_modeset nvidia_uvm nvidia && sudo modprobe "
            "nvidia"
        ),
    ),
    messages=(
        "Failed to initialize NVML: Driver/library version mismatch",
        "NVRM: API mismatch: the client has the version",
        "nvidia-container-cli: initialization error: nvml error: driver/library version mismatch",
    ),
    references=(
        "NVIDIA/nvidia-container-toolkit#394",
        "NVIDIA/nvidia-container-toolkit#171",
        "NVIDIA/nvidia-docker#584",
        "NVIDIA/nvidia-docker#365",
    ),
)
def version_mismatch(machine: Snapshot) -> Iterator[str]:
    loaded, installed = module(machine), user_space(machine)
    if loaded and installed and loaded != installed:
        yield f"files {installed}, loaded module {loaded}"


@check(
    CHECKS,
    "no-libcuda",
    ERROR,
    "NVML works, but there is no libcuda",
    cause="Only a part of the driver is installed: distributions put libcuda into a package of its own.",
    fix=(
        "sudo apt-get install libcuda1    # Debian",
        "sudo apt-get install libnvidia-compute-BRANCH    # Ubuntu, such as 580",
        "sudo dnf install nvidia-driver-cuda    # Fedora, RHEL",
        "sudo gpudock refresh",
    ),
    messages=(
        "libcuda.so.1: cannot open shared object file: No such file or directory",
        "Could not load dynamic library 'libcuda.so.1'",
    ),
)
def no_libcuda(machine: Snapshot) -> Iterator[str]:
    if isinstance(machine.driver, DriverFiles) and not library(machine, "libcuda"):
        yield f"{len(machine.driver.files)} files of the driver below {machine.driver.root}, none is libcuda"


@check(
    CHECKS,
    "no-nvml",
    ERROR,
    "The module is loaded, but the driver's libraries are not found",
    cause="Only the kernel's part is installed, or the rest is in a folder that is not looked at.",
    fix=(
        "sudo gpudock refresh --driver-root FOLDER    # where the driver is: /run/nvidia/driver, for example",
        "sudo apt-get install nvidia-smi libnvidia-ml1    # Debian, of the same version as the module",
    ),
    messages=(
        "nvidia-container-cli: initialization error: load library failed: libnvidia-ml.so.1",
        "couldn't find libnvidia-ml.so library in your system",
    ),
    references=("NVIDIA/nvidia-docker#1711", "NVIDIA/libnvidia-container#231"),
)
def no_nvml(machine: Snapshot) -> Iterator[str]:
    loaded, silent = module(machine), machine.nvml
    if not loaded or not isinstance(silent, Missing):
        return
    if isinstance(machine.driver, DriverFiles) and not library(machine, "libnvidia-ml"):
        yield f"module {loaded} is loaded; no libnvidia-ml below {machine.driver.root}"
    elif isinstance(machine.driver, Missing):
        yield f"module {loaded} is loaded; {machine.driver.reason}"


@check(
    CHECKS,
    "nvml-silent",
    ERROR,
    "The driver does not answer",
    cause="NVML hangs, crashes or refuses. A hanging one most often means a GPU that has failed: see the kernel log.",
    fix=(
        "sudo dmesg | grep -i -e nvrm -e xid | tail",
        "nvidia-smi    # what it says itself",
        *REBOOT,
    ),
    messages=(
        "Failed to initialize NVML: Unknown Error",
        "Unable to determine the device handle for GPU",
        "NVML gave no answer within 5 s",
        "nvidia-container-cli: initialization error: driver rpc error: timed out",
    ),
    references=("NVIDIA/nvidia-container-toolkit#202",),
)
def nvml_silent(machine: Snapshot) -> Iterator[str]:
    silent, loaded = machine.nvml, module(machine)
    there = isinstance(machine.driver, DriverFiles) and library(machine, "libnvidia-ml")
    mismatch = loaded is not None and user_space(machine) not in {None, loaded}
    if isinstance(silent, Missing) and there and not mismatch and ((loaded and cards(machine)) or machine.system.wsl):
        yield silent.reason


@check(
    CHECKS,
    "gpu-unreadable",
    ERROR,
    "A GPU cannot be read",
    cause="It has fallen off the bus, needs a reset, or the driver does not know this model. Others work on.",
    fix=(
        "sudo dmesg | grep -i -e nvrm -e xid | tail",
        "sudo nvidia-smi --gpu-reset -i INDEX    # stops everything that runs on it",
        *REBOOT,
    ),
    messages=("GPU is lost.  Reboot the system to recover this GPU", "Unable to determine the device handle for GPU"),
)
def gpu_unreadable(machine: Snapshot) -> Iterator[str]:
    if isinstance(machine.nvml, Nvml):
        yield from machine.nvml.problems
        seen = {gpu.bus_id for gpu in machine.gpus}
        for each in cards(machine):
            if each.kernel_driver == "nvidia" and each.address not in seen and not machine.roots.simulated:
                yield f"{each.address} is bound to nvidia, but NVML does not list it"
