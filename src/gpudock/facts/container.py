"""Containers and images of this machine's engines, as far as GPUs are concerned. No variables, no commands."""

from gpudock.facts.base import Fact, Missing


class ContainerFact(Fact, frozen=True):
    engine: str
    id: str  # the first 12 digits
    name: str
    image: str
    running: bool
    runtime: str = ""
    privileged: bool = False
    asked: bool = False  # for GPUs: by --gpus, a device, a variable with NVIDIA's runtime
    v1_volumes: tuple[str, ...] = ()  # of nvidia-docker 1
    nodes: tuple[str, ...] | Missing = ()  # NVIDIA's, in its /dev
    refused: tuple[str, ...] = ()  # of those, what its control group forbids
    renumbered: tuple[str, ...] = ()  # of those, what has another number on the host: one sentence each
    driver: str | None = None  # version of the driver files that are mounted in it
    forgotten: bool = False  # systemd does not know its devices: the next daemon-reload takes them away


class Volume(Fact, frozen=True):
    engine: str
    name: str
    driver: str


class Software(Fact, frozen=True):
    """A library or framework in an image."""

    name: str  # "CUDA", "cuDNN", "PyTorch"
    version: str
    where: str  # the variable, label or file that says so


class ImageFact(Fact, frozen=True):
    engine: str
    name: str
    software: tuple[Software, ...] = ()
    variables: dict[str, str] = {}  # NVIDIA_*, CUDA_VERSION and what stands against them: LD_LIBRARY_PATH
    driver_files: tuple[str, ...] = ()  # what of a driver lies in it, one sentence each
    compat: tuple[str, ...] = ()  # libcuda of CUDA's forward compatibility: "libcuda.so.550.54.15"
    layers: int = 0
