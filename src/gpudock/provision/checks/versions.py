"""Minimums and ages of kernel, driver and GPUs."""

from collections.abc import Iterator

from gpudock.facts.snapshot import Snapshot
from gpudock.provision.check import ERROR, NOTE, WARNING, Check, Seen, check
from gpudock.provision.install import branches
from gpudock.provision.machine import driver, numbers, packages

CHECKS: list[Check] = []
INSTALL = ("sudo gpudock install --dry-run    # shows the steps for this system", "sudo gpudock install")
# "Prerequisites": Linux newer than 3.10, docker 19.03, Kepler or newer, driver 418.81.07.
MINIMUMS = "https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/install-guide.html"
OLDEST_DRIVER, OLDEST_KERNEL, OLDEST_GPU = (418, 81), (3, 10), (3, 0)


@check(
    CHECKS,
    "driver-too-old",
    ERROR,
    "The driver is too old for containers",
    cause="NVIDIA's own minimum for GPUs in containers is 418.81.07; CUDA 11 wants 450.80.02, CUDA 12 525.60.13, "
    "CUDA 13 580.",
    fix=INSTALL,
    messages=("nvidia-container-cli: requirement error: unsatisfied condition: driver",),
    references=(MINIMUMS,),
)
def driver_too_old(machine: Snapshot) -> Iterator[str]:
    version = numbers(driver(machine))
    if version and version[:2] < OLDEST_DRIVER:
        yield f"driver {driver(machine)}"


@check(
    CHECKS,
    "kernel-too-old",
    ERROR,
    "The kernel is too old",
    cause="NVIDIA's driver containers and docker need Linux 3.10; covering files in read-only containers needs 5.12.",
    fix=("# install a newer kernel or a supported release of the distribution",),
    references=(MINIMUMS,),
)
def kernel_too_old(machine: Snapshot) -> Iterator[str]:
    version = numbers(machine.system.kernel)
    if version and version[:2] < OLDEST_KERNEL:
        yield f"Linux {machine.system.kernel}"


@check(
    CHECKS,
    "gpu-too-old",
    ERROR,
    "A GPU is older than Kepler",
    cause="GPUs of compute capability below 3.0 have no driver that works in containers.",
    fix=("# no software helps: use another GPU",),
    references=(MINIMUMS,),
)
def gpu_too_old(machine: Snapshot) -> Iterator[str]:
    for gpu in machine.gpus:
        capability = numbers(gpu.compute_capability)
        if capability and capability < OLDEST_GPU:
            yield f"GPU {gpu.index}, {gpu.name}, has compute capability {gpu.compute_capability}"


@check(
    CHECKS,
    "driver-branch-ended",
    NOTE,
    "NVIDIA no longer maintains this branch of the driver",
    cause="Each branch gets security updates until a given month; what runs goes on running.",
    fix=("gpudock drivers    # what suits this GPU", *INSTALL),
    references=(branches.LIFE_SOURCE,),
)
def driver_branch_ended(machine: Snapshot) -> Iterator[str]:
    number = branches.branch(driver(machine))
    life = branches.LIVES.get(number) if number else None
    if life and life.ends < machine.taken[:7] and not machine.roots.simulated:
        yield f"branch {number} ended {life.ends}"


@check(
    CHECKS,
    "driver-branches-mixed",
    WARNING,
    "Packages of several driver versions are installed",
    cause="An upgrade or a removal stopped half-way, or two repositories give the driver.",
    fix=(
        "dpkg -l | grep -i -e nvidia    # which there are",
        "sudo apt-get purge 'NAME-OF-THE-OLD-ONES'",
        "sudo apt-get --fix-broken install",
    ),
    messages=("The following packages have unmet dependencies: nvidia-driver",),
    references=("NVIDIA/nvidia-docker#1388",),
)
def driver_branches_mixed(machine: Snapshot) -> Iterator[Seen]:
    pattern = r"(?:libnvidia-compute|libnvidia-gl|nvidia-kernel-common|nvidia-utils)-\d{3}(?:-server)?"
    versions: dict[str, list[str]] = {}
    for each in packages(machine, pattern):
        versions.setdefault(each.version.partition("-")[0].rpartition(":")[2], []).append(each.name)
    if len(versions) > 1:
        yield Seen("; ".join(f"{version}: {', '.join(names)}" for version, names in sorted(versions.items())))
