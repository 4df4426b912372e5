"""What is in an image, without running any of it: its variables and labels, and the names of files in its layers.

The stream is that of `docker save`. Layers come in any order there; a later one may take away what an earlier brought.
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from gpudock.engine.base import Client
from gpudock.engine.build import buildah, layers, tarwalk, verify
from gpudock.engine.build.driver_files import Driver, Judge
from gpudock.engine.build.tarwalk import Member
from gpudock.facts.container import ImageFact, Software
from gpudock.host.plain import one_line
from gpudock.plan.quote import quote
from gpudock.proc import Runner

Reading = Callable[[tuple[str, ...]], AbstractContextManager[Callable[[int], bytes]]]
KEPT = 20_000  # file names of one image
COMPAT = re.compile(r"usr/local/cuda(?:-[\d.]+)?/compat/(libcuda\.so\.\d+\.[\d.]+)")
_VARIABLE = re.compile(r"NVIDIA_\w+|CUDA_VERSION|(?:NVIDIA_)?DISABLE_REQUIRES?|LD_LIBRARY_PATH")
_TOLD = {  # variable or label -> what it tells of
    "CUDA_VERSION": "CUDA",
    "com.nvidia.cuda.version": "CUDA",
    "NV_CUDNN_VERSION": "cuDNN",
    "CUDNN_VERSION": "cuDNN",
    "com.nvidia.cudnn.version": "cuDNN",
    "NCCL_VERSION": "NCCL",
    "NV_LIBNCCL_PACKAGE_VERSION": "NCCL",
    "PYTORCH_VERSION": "PyTorch",
    "TENSORFLOW_VERSION": "TensorFlow",
}
_PACKAGES = {  # Python package -> its usual name
    "torch": "PyTorch",
    "torchvision": "torchvision",
    "tensorflow": "TensorFlow",
    "tensorflow_cpu": "TensorFlow (without GPU)",
    "tensorflow_gpu": "TensorFlow",
    "jax": "JAX",
    "jaxlib": "jaxlib",
    "cupy": "CuPy",
    "mxnet": "MXNet",
    "paddlepaddle_gpu": "PaddlePaddle",
    "onnxruntime_gpu": "ONNX Runtime",
    "tensorrt": "TensorRT",
    "triton": "Triton",
    "vllm": "vLLM",
    "transformers": "Transformers",
    "flash_attn": "FlashAttention",
    "xformers": "xFormers",
    "keras": "Keras",
    "lightning": "Lightning",
    "xgboost": "XGBoost",
}
_WHEELS = re.compile(r"nvidia_(cuda_runtime|cudnn|nccl)(?:_cu\d+)?")
_WHEEL_NAMES = {"cuda_runtime": "CUDA runtime", "cudnn": "cuDNN", "nccl": "NCCL"}
_DIST_INFO = re.compile(
    r"(?:^|/)([A-Za-z0-9_.]+)-([0-9][A-Za-z0-9_.+!]*)\.(?:dist-info|egg-info)/(?:METADATA|PKG-INFO)"
)
_CONDA = re.compile(
    r"conda-meta/(pytorch|tensorflow|jax|jaxlib|cudatoolkit|cuda-cudart|cudnn|nccl)-([0-9][^-/]*)-[^/]*\.json"
)
_CONDA_NAMES = {
    "pytorch": "PyTorch",
    "tensorflow": "TensorFlow",
    "jax": "JAX",
    "cudatoolkit": "CUDA runtime",
    "cuda-cudart": "CUDA runtime",
    "cudnn": "cuDNN",
    "nccl": "NCCL",
}
_LIBRARY = re.compile(r"(?:^|/)lib(cudart|cudnn|nccl|nvinfer)\.so\.(\d+\.\d+[\d.]*)")
_LIBRARY_NAMES = {"cudart": "CUDA runtime", "cudnn": "cuDNN", "nccl": "NCCL", "nvinfer": "TensorRT"}
_WHITEOUT = ".wh."


class Collector:
    """Looks at each member of a layer; a layer's notes are filed when it has ended."""

    def __init__(self, judge: Callable[[Member], str]) -> None:
        self._judge = judge
        self._notes: dict[str, str] = {}  # path -> why it is the driver's, "" for others of interest
        self._gone: list[str] = []
        self.layers: dict[str, tuple[dict[str, str], list[str]]] = {}
        self._kept = 0

    def look(self, member: Member) -> str:
        """Nothing is a finding here: everything is noted."""
        folder, base = os.path.split(member.name)
        if base.startswith(_WHITEOUT):
            opaque = base == ".wh..wh..opq"
            self._keep_gone(folder if opaque else os.path.join(folder, base.removeprefix(_WHITEOUT)))
            return ""
        of_interest = _software(member.name) is not None or COMPAT.fullmatch(member.name)
        why = self._judge(member) if not COMPAT.fullmatch(member.name) else ""
        if (why or of_interest) and self._kept < KEPT:
            self._kept += 1
            self._notes[member.name] = why
        return ""

    def _keep_gone(self, path: str) -> None:
        if len(self._gone) < KEPT:
            self._gone.append(path)

    def ended(self, layer: str) -> None:
        if layer:
            self.layers[layer] = self._notes, self._gone
        self._notes, self._gone = {}, []

    def left(self, order: tuple[str, ...]) -> dict[str, str]:
        """What a container sees: path -> why it is the driver's."""
        seen: dict[str, str] = {}
        for layer in order:
            notes, gone = self.layers.get(layer, ({}, []))
            hidden = tuple(f"{path}/" for path in gone)
            exact = set(gone)
            seen = {path: why for path, why in seen.items() if path not in exact and not path.startswith(hidden)}
            seen |= notes
        return seen


def read(client: Client, image: str, run: Runner, reading: Reading) -> ImageFact:
    """Raises EngineError and InputError. The image must be there: it is not fetched."""
    shown = quote(image)
    absent, pull = f"{client.name} has no image {shown}.", f"fetch it: {client.name} pull {shown}"
    inspected = verify.inspect(client, image, run, absent, pull)
    collector = Collector(Judge(Driver()).reason)
    with reading(buildah.save_words(client, image)) as stream:
        layers.look(stream, inspected.layers, collector.look, collector.ended)
    files = collector.left(inspected.layers)
    variables, labels = _variables(inspected.config), _labels(inspected.config)
    software = dict.fromkeys(
        (*_told(variables | labels), *(each for path in sorted(files) if (each := _software(path))))
    )
    return ImageFact(
        engine=client.name,
        name=one_line(quote(image, 200), 200),
        software=tuple(_ordered(software)),
        variables={name: one_line(value, 2000) for name, value in variables.items() if _VARIABLE.fullmatch(name)},
        driver_files=tuple(one_line(f"/{path}: {why}") for path, why in sorted(files.items()) if why)[: layers.SHOWN],
        compat=tuple(sorted({match[1] for path in files if (match := COMPAT.fullmatch(path))}))[: layers.SHOWN],
        layers=len(inspected.layers),
    )


def _variables(config: dict[str, object]) -> dict[str, str]:
    entries = config.get("Env")
    pairs = (str(entry).partition("=") for entry in (entries if isinstance(entries, list) else ()))
    return {name: value for name, _, value in pairs}


def _labels(config: dict[str, object]) -> dict[str, str]:
    found = config.get("Labels")
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}


def _told(texts: dict[str, str]) -> Iterator[Software]:
    for name, what in _TOLD.items():
        version = one_line(texts.get(name, ""), 40)
        if re.fullmatch(r"\d+(?:\.\d+)*(?:[-+.]\w+)*", version):
            yield Software(name=what, version=version, where=name)


def _software(path: str) -> Software | None:
    """What a file's name tells; its content is not needed."""
    where = "/" + one_line(path, 200)
    if match := _DIST_INFO.search(path):
        wheel = _WHEELS.fullmatch(match[1].lower())
        name = _WHEEL_NAMES[wheel[1]] if wheel else _PACKAGES.get(re.sub(r"_cuda\d+x$", "", match[1].lower()))
        return Software(name=name, version=one_line(match[2], 40), where=os.path.dirname(where)) if name else None
    if match := _CONDA.search(path):
        return Software(name=_CONDA_NAMES.get(match[1], match[1]), version=one_line(match[2], 40), where=where)
    if match := _LIBRARY.search(path):
        return Software(name=_LIBRARY_NAMES[match[1]], version=match[2], where=where)
    return None


def _ordered(found: dict[Software, None]) -> Iterator[Software]:
    """One line a version of each thing: who said so first stays. CUDA and its libraries come first."""
    first = ("CUDA", "CUDA runtime", "cuDNN", "NCCL", "TensorRT", "PyTorch", "TensorFlow")
    seen: set[tuple[str, str]] = set()
    for each in sorted(found, key=lambda one: (first.index(one.name) if one.name in first else len(first), one.name)):
        if (each.name, each.version) not in seen and len(seen) < tarwalk.BLOCK:
            seen.add((each.name, each.version))
            yield each
