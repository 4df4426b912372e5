"""What the NVIDIA modules say of themselves: recorded on an H200, and written as older and other drivers write it."""

from pathlib import Path

import pytest

from gpudock.facts.base import Missing
from gpudock.facts.gpu import Capability, Gpu
from gpudock.facts.system import Module
from gpudock.host import kernel
from gpudock.host.root import Root
from unit import h200
from unit.recorded import fill


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Root:
    return h200.folder(tmp_path_factory.mktemp("h200"))


@pytest.fixture(scope="module")
def proc(recorded: Root) -> Root:
    return Root(recorded.folder + "/proc")


def test_driver_of_the_h200(proc: Root) -> None:
    driver = kernel.driver(proc)
    assert (driver.version, driver.open_module) == ("580.159.04", True)
    assert driver.majors["nvidia-uvm"] == 238
    assert driver.majors["nvidia-caps-imex-channels"] == 242
    assert "mem" not in driver.majors
    assert "virtblk" not in driver.majors
    assert driver.params["ModifyDeviceFiles"] == "1"
    assert driver.params["RegistryDwords"] == ""


def test_rights_of_instances_only_when_they_exist(proc: Root) -> None:
    general = kernel.capabilities(proc)
    assert [right.name for right in general] == ["config", "monitor", "fabric-imex-mgmt", "fabric-mgmt"]
    some = kernel.capabilities(proc, {"gpu0/gi1", "gpu0/gi1/ci0", "gpu0/gi99"})
    assert set(some) - set(general) == {
        Capability(name="gpu0/gi1/access", minor=12),
        Capability(name="gpu0/gi1/ci0/access", minor=13),
    }


def test_gpus_that_the_module_knows(proc: Root) -> None:
    (gpu,) = kernel.gpus(proc)
    assert (gpu.index, gpu.minor, gpu.bus_id, gpu.name) == (0, 0, "0000:00:06.0", "NVIDIA H200")
    assert gpu.uuid == "GPU-0cc352ac-c7ba-d67c-df19-77e0366c92fa"
    assert isinstance(gpu.memory, Missing)


def test_modules(recorded: Root) -> None:
    found = kernel.modules(Root(recorded.folder + "/proc"), Root(recorded.folder + "/sys"))
    assert found == (Module(name="nvidia", version="580.159.04"), Module(name="nvidia_uvm"))


@pytest.mark.parametrize(
    ("line", "version", "is_open"),
    [
        ("NVIDIA UNIX x86_64 Kernel Module  470.256.02  Thu May  2 14:37:44 UTC 2024", "470.256.02", False),
        ("NVIDIA UNIX x86_64 Kernel Module  390.157  Wed Oct 12 09:19:07 UTC 2022", "390.157", False),
        ("NVIDIA UNIX Open Kernel Module for aarch64  535.129.03  Release Build  (root@h)", "535.129.03", True),
        ("NVIDIA UNIX x86_64 Kernel Module  550.54.15", "550.54.15", False),
    ],
)
def test_version_lines(tmp_path: Path, line: str, version: str, is_open: bool) -> None:
    driver = kernel.driver(fill(tmp_path, {"/driver/nvidia/version": f"NVRM version: {line}\nGCC version:  gcc 12\n"}))
    assert (driver.version, driver.open_module) == (version, is_open)


def test_no_module_and_an_unknown_one(tmp_path: Path) -> None:
    proc = fill(tmp_path, {"/devices": "Character devices:\n195 nvidia-frontend\n\nBlock devices:\n195 nvidia\n"})
    driver = kernel.driver(proc)
    assert driver.version == Missing("the nvidia kernel module is not loaded")
    assert driver.majors == {"nvidia-frontend": 195}
    assert kernel.gpus(proc) == ()
    fill(tmp_path, {"/driver/nvidia/version": "something else\n"})
    assert isinstance(kernel.driver(proc).version, Missing)


def test_gpus_without_an_identity_are_left_out(tmp_path: Path) -> None:
    known = "Model: \t\t Tesla T4\nGPU UUID: \t GPU-{}\nBus Location: \t 0000:0a:00.0\nDevice Minor: \t {}\nGPU Excluded:\t {}\n"
    uuid = "0cc352ac-c7ba-d67c-df19-77e0366c92fa"
    folder = "/driver/nvidia/gpus/"
    proc = fill(
        tmp_path,
        {
            f"{folder}0000:03:00.0/information": known.format("????????-????-????-????-????????????", 0, "No"),
            f"{folder}0000:04:00.0/information": known.format(uuid, 1, "Yes"),
            f"{folder}0000:0A:00.0/information": known.format(uuid, 2, "No"),
            f"{folder}0000:0b:00.0/registry": "",
        },
    )
    assert [(gpu.index, gpu.minor, gpu.bus_id) for gpu in kernel.gpus(proc)] == [(0, 2, "0000:0a:00.0")]


@pytest.mark.parametrize(
    ("told", "folder", "expected"),
    [
        (Missing("GetMigMode: unknown error"), "gi1", True),
        (Missing("GetMigMode: unknown error"), "config", Missing("GetMigMode: unknown error")),
        (False, "gi1", False),
    ],
)
def test_a_gpu_with_instances_is_divided_when_nvml_cannot_tell(
    tmp_path: Path, told: bool | Missing, folder: str, expected: bool | Missing
) -> None:
    proc = fill(tmp_path, {f"/driver/nvidia/capabilities/gpu2/mig/{folder}/access": ""})
    gpu = Gpu(index=0, uuid="GPU-0", bus_id="0000:0a:00.0", minor=2, name="NVIDIA H200", mig=told)
    assert kernel.known_as_divided(proc, gpu).mig == expected


def test_the_module_list_leaves_out_what_does_not_matter(tmp_path: Path) -> None:
    names = ["nvidia_drm", "snd_hda_intel", "nvidiafb_not", "nouveau", "vfio_pci", "overlay", "nvidia_peermem", "ext4"]
    proc = fill(tmp_path, {"/modules": "".join(f"{name} 1 0 - Live 0x0\n" for name in names)})
    found = [module.name for module in kernel.modules(proc, proc)]
    assert found == ["nouveau", "nvidia_drm", "nvidia_peermem", "overlay", "vfio_pci"]
