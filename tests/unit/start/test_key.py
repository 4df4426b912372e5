"""Whether a plan still fits the machine: each part of its key, changed one at a time, is named."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from gpudock.start import key

if TYPE_CHECKING:
    from pathlib import Path

    from gpudock.plan.document import Key

UUID = "GPU-0cc352ac-c7ba-d67c-df19-77e0366c92fa"
OTHER = "GPU-8f3c1a2b-0d4e-4f5a-9b6c-7d8e9f0a1b2c"
DEVICES = """Character devices:
  1 mem
195 nvidia
195 nvidiactl
231 infiniband_verbs
238 nvidia-uvm
241 nvidia-caps

Block devices:
259 blkext
195 nvidia-block
"""
INFORMATION = """Model: \t\t NVIDIA H200
IRQ:   \t\t 41
GPU UUID: \t {uuid}
Video BIOS: \t 96.00.a5.00.1a
Bus Location: \t 0000:00:06.0
Device Minor: \t {minor}
GPU Excluded:\t No
"""


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """/proc and /sys of a machine with an H200 that is divided, and a driver library."""
    gpu = tmp_path / "proc/driver/nvidia/gpus/0000:00:06.0"
    gpu.mkdir(parents=True)
    (gpu / "information").write_text(INFORMATION.format(uuid=UUID, minor=0))
    (tmp_path / "proc/devices").write_text(DEVICES)
    caps = tmp_path / "proc/driver/nvidia-caps"
    caps.mkdir()
    (caps / "mig-minors").write_text("config 1\nmonitor 2\ngpu0/gi1/access 12\ngpu0/gi1/ci0/access 13\n")
    right = tmp_path / "proc/driver/nvidia/capabilities/gpu0/mig/gi1/ci0"
    right.mkdir(parents=True)
    (right / "access").touch()
    (right.parent / "access").touch()
    module = tmp_path / "sys/module/nvidia"
    module.mkdir(parents=True)
    (module / "version").write_text("580.159.04\n")
    (tmp_path / "libcuda.so.580.159.04").write_text("driver")
    return tmp_path


def planned(machine: Path, **changes: Any) -> Key:
    library = key.identity(str(machine / "libcuda.so.580.159.04"))
    assert library is not None
    whole: dict[str, Any] = {
        "proc": str(machine / "proc"),
        "sys": str(machine / "sys"),
        "boot_id": key.read_boot_id(),
        "module": "580.159.04",
        "majors": {"nvidia": 195, "nvidia-uvm": 238, "nvidia-caps": 241, "infiniband_verbs": 231},
        "gpus": {"0000:00:06.0": ["0", UUID]},
        "mig_minors": {"gpu0/gi1/access": 12, "gpu0/gi1/ci0/access": 13, "config": 1},
        "files": [library],
    }
    return {**whole, **changes}  # type: ignore[typeddict-item]


def test_what_is_read(machine: Path) -> None:
    proc = str(machine / "proc")
    majors = {"mem": 1, "nvidia": 195, "nvidiactl": 195, "infiniband_verbs": 231, "nvidia-uvm": 238, "nvidia-caps": 241}
    assert key.read_majors(proc) == majors
    assert key.read_gpus(proc) == {"0000:00:06.0": ["0", UUID]}
    assert key.read_mig_minors(proc)["gpu0/gi1/ci0/access"] == 13
    assert key.read_module(str(machine / "sys")) == "580.159.04"
    assert len(key.read_boot_id()) == 36


def test_nothing_to_read_is_nothing(tmp_path: Path) -> None:
    nowhere = str(tmp_path)
    assert key.read_majors(nowhere) == {}
    assert key.read_gpus(nowhere) == {}
    assert key.read_mig_minors(nowhere) == {}
    assert key.read_module(nowhere) == ""
    assert key.identity(nowhere + "/x") is None


def test_it_fits(machine: Path) -> None:
    assert key.difference(planned(machine)) is None


def test_bus_ids_as_nvml_writes_them(machine: Path) -> None:
    assert key.difference(planned(machine, gpus={"00000000:00:06.0": ["0", UUID]})) is None
    assert key.bus_id("00000000:C1:00.0") == "0000:c1:00.0"
    assert key.bus_id("0001:C1:00.0") == "0001:c1:00.0"
    assert key.bus_id("00010000:C1:00.0") == "10000:c1:00.0"


def test_a_gpu_that_was_never_opened_has_no_uuid_yet(machine: Path) -> None:
    """Neither the plan's nor the machine's placeholder says anything."""
    hidden = "GPU-????????-????-????-????-????????????"
    assert key.difference(planned(machine, gpus={"0000:00:06.0": ["0", hidden]})) is None
    information = machine / "proc/driver/nvidia/gpus/0000:00:06.0/information"
    information.write_text(INFORMATION.format(uuid=hidden, minor=0))
    assert key.difference(planned(machine)) is None
    information.write_text(INFORMATION.format(uuid=hidden, minor=3))
    assert "device minor" in (key.difference(planned(machine)) or "")


def test_what_came_later_does_no_harm(machine: Path) -> None:
    shutil.copytree(machine / "proc/driver/nvidia/gpus/0000:00:06.0", machine / "proc/driver/nvidia/gpus/0000:00:07.0")
    assert key.difference(planned(machine, majors={"nvidia": 195})) is None


def test_wsl_has_none_of_it() -> None:
    bare: Key = {
        "proc": "/nowhere",
        "sys": "/nowhere",
        "boot_id": key.read_boot_id(),
        "module": "",
        "majors": {},
        "gpus": {},
        "mig_minors": {},
        "files": [],
    }
    assert key.difference(bare) is None


@pytest.mark.parametrize(
    ("changes", "phrase"),
    [
        ({"boot_id": "0f0e0d0c-0b0a-4908-8706-050403020100"}, "the machine has been started again since"),
        ({"module": "550.2"}, "driver 580.159.04 is loaded, the plan is for 550.2"),
        ({"sys": "/nowhere"}, "no NVIDIA driver is loaded"),
        ({"majors": {"nvidia-uvm": 510}}, "the device number of nvidia-uvm is 238, the plan has 510"),
        ({"majors": {"nvidia-nvswitch": 239}}, "the device number of nvidia-nvswitch is gone, the plan has 239"),
        ({"gpus": {"0000:00:09.0": ["0", UUID]}}, "the GPU at 0000:00:09.0 is gone"),
        (
            {"gpus": {"0000:00:06.0": ["0", OTHER]}},
            f"the UUID of the GPU at 0000:00:06.0 is {UUID}, the plan has {OTHER}",
        ),
        ({"gpus": {"0000:00:06.0": ["1", UUID]}}, "the device minor of the GPU at 0000:00:06.0 is 0, the plan has 1"),
        ({"mig_minors": {"gpu0/gi1/access": 21}}, "the MIG instance of gpu0/gi1/access is gone or another one"),
        ({"mig_minors": {"gpu0/gi2/access": 21}}, "the MIG instance of gpu0/gi2/access is gone or another one"),
        (
            {"files": [{"host": "/nowhere/libcuda.so", "size": 1, "mtime_ns": 1}]},
            "/nowhere/libcuda.so is gone",
        ),
    ],
)
def test_differences(machine: Path, changes: dict[str, Any], phrase: str) -> None:
    assert key.difference(planned(machine, **changes)) == phrase


def test_a_destroyed_mig_instance(machine: Path) -> None:
    """Its minors stay listed: the list holds all that could exist."""
    shutil.rmtree(machine / "proc/driver/nvidia/capabilities/gpu0")
    assert key.difference(planned(machine)) == "the MIG instance of gpu0/gi1/access is gone or another one"


class TestOneContainer:
    """What it has no node of may go: other containers on the machine are not its business."""

    NODES = ("/dev/nvidia0", "/dev/nvidia-caps/nvidia-cap12", "/dev/nvidia-caps/nvidia-cap13")

    def test_another_gpu_is_gone(self, machine: Path) -> None:
        plan = planned(machine, gpus={"0000:00:06.0": ["0", UUID], "0000:00:09.0": ["1", OTHER]})
        assert key.difference(plan) == "the GPU at 0000:00:09.0 is gone"
        assert key.difference(plan, self.NODES.__contains__) is None
        assert key.difference(plan, ("/dev/nvidia1",).__contains__) == "the GPU at 0000:00:09.0 is gone"

    def test_its_own_gpu_is_another_one_now(self, machine: Path) -> None:
        plan = planned(machine, gpus={"0000:00:06.0": ["0", OTHER]})
        assert "UUID" in (key.difference(plan, self.NODES.__contains__) or "")
        assert key.difference(plan, ("/dev/nvidia1",).__contains__) is None

    def test_another_mig_device_is_gone(self, machine: Path) -> None:
        minors = {"gpu0/gi1/access": 12, "gpu0/gi1/ci0/access": 13, "gpu0/gi2/access": 21, "gpu0/gi2/ci0/access": 22}
        plan = planned(machine, mig_minors=minors)
        assert key.difference(plan) == "the MIG instance of gpu0/gi2/access is gone or another one"
        assert key.difference(plan, self.NODES.__contains__) is None
        own = ("/dev/nvidia0", "/dev/nvidia-caps/nvidia-cap22")
        assert (
            key.difference(plan, own.__contains__) == "the MIG instance of gpu0/gi2/ci0/access is gone or another one"
        )

    def test_what_all_share_is_looked_at_all_the_same(self, machine: Path) -> None:
        plan = planned(machine, majors={"nvidia-uvm": 510})
        assert "device number of nvidia-uvm" in (key.difference(plan, ().__contains__) or "")

    def test_a_gpu_that_is_not_its_own_is_not_even_asked(self, machine: Path) -> None:
        """One that is ill may take seconds to answer."""
        ill = machine / "proc/driver/nvidia/gpus/0000:00:07.0"
        ill.mkdir()
        (ill / "information").write_text(INFORMATION.format(uuid=OTHER, minor=1))
        assert set(key.read_gpus(str(machine / "proc"), {"0000:00:06.0"})) == {"0000:00:06.0"}
        assert set(key.read_gpus(str(machine / "proc"))) == {"0000:00:06.0", "0000:00:07.0"}


class TestMigMinors:
    def own(self, machine: Path, *, text: str) -> str:
        for part in ("access", "ci0/access"):
            (machine / "proc/driver/nvidia/capabilities/gpu0/mig/gi1" / part).write_text(text)
        return str(machine / "proc")

    def test_the_instances_own_files_are_asked_and_not_the_long_table(self, machine: Path) -> None:
        (machine / "proc/driver/nvidia-caps/mig-minors").unlink()
        proc = self.own(machine, text="DeviceFileMinor: 12\nDeviceFileMode: 292\nDeviceFileModify: 1\n")
        assert key.read_mig_minor(proc, "gpu0/gi1/access") == 12
        assert key.difference(planned(machine, mig_minors={"gpu0/gi1/access": 12, "gpu0/gi1/ci0/access": 12})) is None
        changed = key.difference(planned(machine, mig_minors={"gpu0/gi1/access": 21}))
        assert changed == "the MIG instance of gpu0/gi1/access is gone or another one"

    @pytest.mark.parametrize("text", ["", "DeviceFileMinor: \n", "DeviceFileMinor: -1\n", "Minor 12\n"])
    def test_the_table_when_they_say_nothing(self, machine: Path, text: str) -> None:
        proc = self.own(machine, text=text)
        assert key.read_mig_minor(proc, "gpu0/gi1/access") is None
        assert key.difference(planned(machine)) is None
        assert key.difference(planned(machine, mig_minors={"gpu0/gi1/access": 13})) is not None

    def test_the_table_when_the_driver_has_no_such_files(self, machine: Path) -> None:
        shutil.rmtree(machine / "proc/driver/nvidia/capabilities")
        assert key.difference(planned(machine)) is None


def test_a_library_put_in_place_of_another(machine: Path) -> None:
    plan = planned(machine)
    library = machine / "libcuda.so.580.159.04"
    found = library.stat()
    library.write_text("DRIVER")
    os.utime(library, ns=(found.st_atime_ns, found.st_mtime_ns + 1))
    assert key.difference(plan) == f"{library} has changed"
