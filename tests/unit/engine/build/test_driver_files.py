"""What counts as a file of the driver."""

from pathlib import Path

import pytest

from gpudock.engine.build.driver_files import Driver, Judge
from gpudock.engine.build.tarwalk import members
from unit.engine.build.archives import reader, tar

ELF = b"\x7fELF" + b"driver" * 2000
KNOWN = Driver("580.159.04", frozenset({"libcuda.so.1", "nvidia-smi", "libcuda.so.580.159.04", "nvidia_icd.json"}))


def reason(name: str, content: bytes | str, driver: Driver = KNOWN) -> str:
    judge = Judge(driver)
    return "".join(judge.reason(each) for each in members(reader(tar({name: content}))))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("usr/local/nvidia/lib64/anything", b"x"),
        ("./usr/local/nvidia/x", b""),
        ("usr/lib/libcuda.so.580.159.04", b"x"),
        ("opt/libnvidia-ml.so.580.159.04", b"x"),
        ("usr/bin/nvidia-smi", b""),
        ("etc/vulkan/icd.d/nvidia_icd.json", b""),
    ],
)
def test_the_drivers(name: str, content: bytes) -> None:
    assert reason(name, content)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("usr/bin/nvidia-smi", "/usr/local/nvidia/bin/nvidia-smi"),  # links are how fixed places are filled
        ("usr/local/nvidia/link", "elsewhere"),
        ("usr/local/cuda-13/compat/libcuda.so.580.159.04", b"x"),
        ("usr/local/cuda/lib64/stubs/libcuda.so", b"x"),
        ("usr/lib/libcuda.so.550.1", b"x"),  # somebody else's: not from this build
        ("usr/lib/.wh.libcuda.so.1", b""),
        ("etc/OpenCL/vendors/nvidia.icd", b"libnvidia-opencl.so.1\n"),
        ("app/empty", b""),
        ("usr/local/nvidia-tools/x", b"x"),
    ],
)
def test_not_the_drivers(name: str, content: bytes | str) -> None:
    assert reason(name, content) == ""


def test_of_an_unknown_driver_any_version_counts() -> None:
    assert reason("usr/lib/libcuda.so.550.54", b"x", Driver())
    assert reason("usr/lib/libcuda.so.1", b"", Driver())
    assert reason("usr/lib/libc.so.6", b"x", Driver()) == ""


def test_a_copy_by_another_name(tmp_path: Path) -> None:
    (tmp_path / "libcuda.so.1").write_bytes(ELF)
    (tmp_path / "icd").write_bytes(b"{}")
    driver = KNOWN._replace(sizes={len(ELF): (str(tmp_path / "libcuda.so.1"),), 2: (str(tmp_path / "icd"),)})
    assert reason("app/innocent.so", ELF, driver) == "a copy of a file of the driver"
    assert reason("app/other.so", ELF[:-1] + b"x", driver) == ""
    assert reason("app/text", b"{}", driver) == ""
