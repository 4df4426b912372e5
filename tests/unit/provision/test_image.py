"""What an image's layers tell, on archives made here."""

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gpudock.engine.docker import Docker
from gpudock.engine.endpoint import Endpoint
from gpudock.facts.container import ImageFact
from gpudock.proc import Result
from gpudock.provision.probe import image
from unit.engine.build.archives import digest, saved, tar
from unit.recorded import Recorder

SITE = "usr/lib/python3/dist-packages"


def layer(*names: str) -> bytes:
    return tar(dict.fromkeys(names, b"x"))


def read(
    *layers: bytes, env: tuple[str, ...] = (), labels: dict[str, str] | None = None, shuffled: bool = False
) -> ImageFact:
    told = [{"RootFS": {"Layers": [digest(each) for each in layers]}, "Config": {"Env": [*env], "Labels": labels}}]
    run = Recorder({("docker", "image"): Result(0, json.dumps(told), "")})
    archive = saved(*(reversed(layers) if shuffled else layers))

    @contextmanager
    def reading(argv: tuple[str, ...]) -> Iterator[Callable[[int], bytes]]:
        assert argv[-2:] == ("save", "lab/train")
        yield io.BytesIO(archive).read

    return image.read(Docker("docker", Endpoint("unix:///x"), {}, "6"), "lab/train", run, reading)


def software(fact: ImageFact) -> list[tuple[str, str]]:
    return [(each.name, each.version) for each in fact.software]


def test_variables_labels_and_files() -> None:
    files = layer(
        f"{SITE}/torch-2.4.1+cu124.dist-info/METADATA",
        f"{SITE}/nvidia_cudnn_cu12-9.1.0.70.dist-info/METADATA",
        f"{SITE}/requests-2.32.dist-info/METADATA",
        "usr/local/cuda-12.4/targets/x86_64-linux/lib/libcudart.so.12.4.127",
        "opt/conda/conda-meta/pytorch-2.1.0-py3.10_cuda11.8_cudnn8.7.0_0.json",
        "usr/local/cuda-12.4/compat/libcuda.so.550.54.15",
    )
    fact = read(
        files,
        env=("CUDA_VERSION=12.4.1", "NVIDIA_REQUIRE_CUDA=cuda>=12.4", "TOKEN=abc"),
        labels={"com.nvidia.cudnn.version": "9.1.0.70"},
    )
    assert software(fact) == [
        ("CUDA", "12.4.1"),
        ("CUDA runtime", "12.4.127"),
        ("cuDNN", "9.1.0.70"),
        ("PyTorch", "2.1.0"),
        ("PyTorch", "2.4.1+cu124"),
    ]
    assert fact.variables == {"CUDA_VERSION": "12.4.1", "NVIDIA_REQUIRE_CUDA": "cuda>=12.4"}
    assert fact.compat == ("libcuda.so.550.54.15",)
    assert fact.driver_files == ()


def test_a_later_layer_takes_away_whatever_the_order_in_the_archive() -> None:
    old = layer(
        f"{SITE}/torch-2.3.0.dist-info/METADATA", "usr/lib/libcuda.so.535.104.05", "opt/x/jax-0.4.30.dist-info/METADATA"
    )
    new = layer(f"{SITE}/.wh.torch-2.3.0.dist-info", "usr/lib/.wh.libcuda.so.535.104.05", "opt/x/.wh..wh..opq")
    newest = layer(f"{SITE}/torch-2.4.1.dist-info/METADATA")
    for shuffled in (False, True):
        fact = read(old, new, newest, shuffled=shuffled)
        assert software(fact) == [("PyTorch", "2.4.1")]
        assert fact.driver_files == ()
    assert [line.partition(":")[0] for line in read(old).driver_files] == ["/usr/lib/libcuda.so.535.104.05"]


def test_an_image_without_anything() -> None:
    fact = read(layer("etc/passwd"))
    assert (fact.software, fact.layers, fact.variables) == ((), 1, {})


def test_versions_that_are_none_are_not_told() -> None:
    assert read(layer("x"), env=("CUDA_VERSION=12\x1b[2J", "CUDNN_VERSION=latest")).software == ()
