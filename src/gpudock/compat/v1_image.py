"""The labels by which an image asks nvidia-docker 1 for the driver."""

from gpudock.compat.v1_docker import Docker
from gpudock.compat.v1_error import V1Error
from gpudock.compat.v1_number import numbers
from gpudock.plan.quote import quote

VOLUMES = "com.nvidia.volumes.needed"
CUDA = "com.nvidia.cuda.version"


def volumes(docker: Docker, image: str) -> tuple[str, ...]:
    """The volumes that the image needs, () for an image that asks for nothing. Pulls it when it is not here."""
    docker.fetch(image)
    needed = docker.label(image, VOLUMES)
    return tuple(needed.split(" ")) if needed else ()


def check_cuda(docker: Docker, image: str, driver: str) -> str | None:
    """What to warn of. `driver`: the newest CUDA that it has, "" when unknown. V1Error: the image needs more."""
    wanted = docker.label(image, CUDA)
    if not wanted:
        return None
    needs = numbers(wanted, 2, f"the image's label {CUDA}")
    if not driver:
        return f"the image needs CUDA {quote(wanted)}, and it is not known which CUDA the driver has"
    if needs > numbers(driver, 2, "the driver's CUDA version"):
        raise V1Error(
            f"unsupported CUDA version: driver {driver} < image {quote(wanted)}",
            mend="install a newer NVIDIA driver, or use an image with an older CUDA",
        )
    return None
