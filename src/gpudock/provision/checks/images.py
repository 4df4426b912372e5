"""An image held against the driver and the GPUs of this machine: only when one was named."""

from collections.abc import Iterator

from gpudock.errors import RefusedError
from gpudock.facts.base import Missing
from gpudock.facts.container import ImageFact
from gpudock.facts.gpu import Gpu
from gpudock.facts.snapshot import Snapshot
from gpudock.gpu.cuda import FAMILIES, without_code
from gpudock.plan import requirement
from gpudock.plan.requirement import Properties
from gpudock.provision.check import ERROR, NOTE, WARNING, Check, Seen, check
from gpudock.provision.machine import driver, numbers

CHECKS: list[Check] = []
_CONSUMER = {"geforce", "geforcertx", "titan", "titanrtx"}
_NEWER_DRIVER = ("sudo gpudock install    # a newer driver", "# or an older image of the same software")


def _cuda(image: ImageFact) -> dict[str, str]:
    """Versions of CUDA in it, with who says so: its own, and those that frameworks were made with."""
    found: dict[str, str] = {}
    for each in image.software:
        build = each.version.partition("+cu")[2]
        if each.name in {"CUDA", "CUDA runtime"}:
            found.setdefault(each.version, each.name)
        elif build.isdecimal() and len(build) > 2:
            found.setdefault(f"{build[:-1]}.{build[-1]}", f"{each.name} {each.version}")
    return found


def _host_cuda(machine: Snapshot) -> str:
    nvml = machine.nvml
    return "" if isinstance(nvml, Missing) or isinstance(nvml.cuda, Missing) else nvml.cuda


def _fact(value: str | Missing) -> str:
    return value if isinstance(value, str) else ""


@check(
    CHECKS,
    "image-driver",
    WARNING,
    "The image holds files of a driver",
    cause="It was built or committed on a machine with GPUs by a tool that leaves the driver in it. With another "
    "driver it "
    "fails under NVIDIA's toolkit; gpudock puts the host's own first.",
    fix=(
        "gpudock build .    # refuses such layers, and says which step brings them",
        "# in the Dockerfile, remove packages such as libnvidia-compute-* and cuda-drivers",
    ),
    messages=(
        "libnvidia-ml.so.1: file exists: unknown",
        "Failed to initialize NVML: Driver/library version mismatch",
        "error while loading shared libraries: libcuda.so.1: file too short",
    ),
    references=(
        "NVIDIA/nvidia-container-toolkit#289",
        "NVIDIA/nvidia-docker#1551",
        "NVIDIA/nvidia-container-toolkit#176",
    ),
)
def image_driver(machine: Snapshot) -> Iterator[str]:
    for image in machine.images:
        yield from (f"{image.name}: {each}" for each in image.driver_files[:5])


@check(
    CHECKS,
    "image-requirement",
    ERROR,
    "The image asks for another driver or GPU",
    cause="Its author wrote a condition (NVIDIA_REQUIRE_CUDA and the like) that this machine does not meet.",
    fix=(*_NEWER_DRIVER, "gpudock run -e NVIDIA_DISABLE_REQUIRE=1 …    # to try it all the same"),
    messages=(
        (
            "nvidia-container-cli: requirement error: unsatisfied condition: cuda>=12.8, please update your driver to "
            "a newer "
            "version, or use an earlier cuda container"
        ),
        "NVIDIA_REQUIRE_CUDA=… is not met",
    ),
    references=(
        "NVIDIA/nvidia-container-toolkit#152",
        "NVIDIA/nvidia-docker#536",
        "NVIDIA/nvidia-container-toolkit#234",
    ),
)
def image_requirement(machine: Snapshot) -> Iterator[Seen]:
    gpus = [(_fact(gpu.compute_capability), _fact(gpu.brand)) for gpu in machine.gpus]
    for image in machine.images:
        wanted, notes = requirement.from_environment(image.variables)
        yield from (Seen(f"{image.name}: {note}", severity=NOTE) for note in notes)
        try:
            requirement.check(wanted, Properties(_host_cuda(machine), driver(machine), gpus))
        except RefusedError as error:
            yield Seen(f"{image.name}: {error.what} {error.why}")


@check(
    CHECKS,
    "image-cuda",
    ERROR,
    "The driver is too old for the CUDA in the image",
    cause="A CUDA version of a new major number needs a driver of its time: 11 wants 450.80.02, 12 525.60.13, 13 "
    "580. Only "
    "data-centre GPUs can do with an older one, by the package cuda-compat in the image.",
    fix=_NEWER_DRIVER,
    messages=(
        "CUDA driver version is insufficient for CUDA runtime version",
        "The NVIDIA driver on your system is too old (found version 11040)",
        "cudaErrorInsufficientDriver",
    ),
    references=("https://docs.nvidia.com/deploy/cuda-compatibility/",),
)
def image_cuda(machine: Snapshot) -> Iterator[Seen]:
    here = numbers(driver(machine))
    for image in machine.images:
        for version, source in _cuda(image).items():
            floor = numbers(FAMILIES.get(version.partition(".")[0]))
            if here and here < floor:
                soft = WARNING if image.compat and not _consumer(machine) else ""
                yield Seen(f"{image.name}: CUDA {version} ({source}), driver {driver(machine)}", severity=soft)


@check(
    CHECKS,
    "image-cuda-minor",
    NOTE,
    "The image's CUDA is newer than the driver's, of the same major version",
    cause="Most programs run by CUDA's minor version compatibility; those that compile PTX on the way may not.",
    fix=("# nothing, unless a program says so; then: a newer driver",),
    messages=("the provided PTX was compiled with an unsupported toolchain",),
    references=("https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html",),
)
def image_cuda_minor(machine: Snapshot) -> Iterator[str]:
    here = numbers(_host_cuda(machine))
    for image in machine.images:
        for version, source in _cuda(image).items():
            there = numbers(version)[:2]
            if here and there[:1] == here[:1] and there > here:
                yield f"{image.name}: CUDA {version} ({source}), the driver's is {_host_cuda(machine)}"


def _consumer(machine: Snapshot) -> list[Gpu]:
    return [gpu for gpu in machine.gpus if gpu.brand in _CONSUMER]


@check(
    CHECKS,
    "image-compat",
    WARNING,
    "The image's forward compatibility does not work on this GPU",
    cause="The libcuda of cuda-compat runs on data-centre GPUs only. Where LD_LIBRARY_PATH names its folder, it is "
    "used all "
    "the same. gpudock leaves it out on GeForce and Titan.",
    fix=("gpudock run -e LD_LIBRARY_PATH= …", "sudo gpudock install    # a newer driver"),
    messages=(
        "Error 804: forward compatibility was attempted on non supported HW",
        "Error 803: system has unsupported display driver / cuda driver combination",
    ),
    references=("NVIDIA/nvidia-docker#1515", "NVIDIA/nvidia-container-toolkit#291"),
)
def image_compat(machine: Snapshot) -> Iterator[str]:
    gpus = _consumer(machine)
    for image in machine.images:
        if image.compat and gpus:
            yield f"{image.name} has {', '.join(image.compat)}; GPU {gpus[0].index} is {gpus[0].name}"
        elif len(image.compat) > 1:
            yield f"{image.name} has {len(image.compat)} versions of it: {', '.join(image.compat)}"


@check(
    CHECKS,
    "image-generation",
    ERROR,
    "The CUDA in the image makes no code for this GPU",
    cause="Each CUDA version knows the generations of its time: Hopper and Ada from 11.8, Blackwell from 12.8; "
    "CUDA 12 has "
    "dropped Kepler, CUDA 13 all before Turing.",
    fix=("# an image with another CUDA version: gpudock doctor --image IMAGE says which it has",),
    messages=(
        "no kernel image is available for execution on the device",
        "NVIDIA GeForce RTX 5090 with CUDA capability sm_120 is not compatible with the current PyTorch installation",
    ),
)
def image_generation(machine: Snapshot) -> Iterator[str]:
    for image in machine.images:
        for version, source in _cuda(image).items():
            for gpu in machine.gpus:
                capability = _fact(gpu.compute_capability)
                if why := without_code(version, f"GPU {gpu.index}", capability):
                    yield f"{image.name} ({source}): {why}"


@check(
    CHECKS,
    "image-hides",
    NOTE,
    "The image's variables stand against its GPUs",
    cause="A variable of the image hides GPUs or the driver's libraries, or gives less than CUDA needs.",
    fix=("gpudock run -e NAME= …    # or with a right value",),
    messages=("CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected",),
)
def image_hides(machine: Snapshot) -> Iterator[str]:
    for image in machine.images:
        told = image.variables
        if told.get("NVIDIA_VISIBLE_DEVICES") in {"none", "void", ""}:
            yield f"{image.name}: NVIDIA_VISIBLE_DEVICES={told['NVIDIA_VISIBLE_DEVICES']}"
        wanted = told.get("NVIDIA_DRIVER_CAPABILITIES", "")
        if wanted and not {"all", "compute"} & {part.strip() for part in wanted.split(",")}:
            yield f"{image.name}: NVIDIA_DRIVER_CAPABILITIES={wanted} has no compute"
        if "/compat" in told.get("LD_LIBRARY_PATH", "") or "/stubs" in told.get("LD_LIBRARY_PATH", ""):
            yield f"{image.name}: LD_LIBRARY_PATH={told['LD_LIBRARY_PATH']}"
