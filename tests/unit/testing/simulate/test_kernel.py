import posixpath

import msgspec

from gpudock.testing.simulate import description, kernel

MACHINE = description.make(2, "H200", "580.159.04", mig=["1g.18gb"])

# /proc/driver/nvidia of a machine with one H200.
REAL_INFORMATION = """\
Model: \t\t NVIDIA H200
IRQ:   \t\t 41
GPU UUID: \t GPU-0cc352ac-c7ba-d67c-df19-77e0366c92fa
Video BIOS: \t 96.00.a5.00.1a
Bus Type: \t PCIe
DMA Size: \t 52 bits
DMA Mask: \t 0xfffffffffffff
Bus Location: \t 0000:00:06.0
Device Minor: \t 0
GPU Firmware: \t 580.159.04
GPU Excluded:\t No
"""
REAL_VERSION = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.159.04  Release Build  ("
REAL_CONFIG = "DeviceFileMinor: 1\nDeviceFileMode: 256\nDeviceFileModify: 1\n"
REAL_MONITOR = "DeviceFileMinor: 2\nDeviceFileMode: 292\nDeviceFileModify: 1\n"
REAL_IMEX = "DeviceFileMinor: 4323\nDeviceFileMode: 256\nDeviceFileModify: 1\n"


def test_proc_has_the_real_formats() -> None:
    gpu = msgspec.structs.replace(
        MACHINE.gpus[0], uuid="GPU-0cc352ac-c7ba-d67c-df19-77e0366c92fa", bus_id="0000:00:06.0", instances=()
    )
    texts = kernel.texts(msgspec.structs.replace(MACHINE, gpus=(gpu,)), "x86_64")
    nvidia = "proc/driver/nvidia"
    information = texts[f"{nvidia}/gpus/0000:00:06.0/information"]
    assert information.replace("??.??.??.??.??", "96.00.a5.00.1a") == REAL_INFORMATION
    assert texts[f"{nvidia}/version"].startswith(REAL_VERSION)
    assert texts[f"{nvidia}/capabilities/mig/config"] == REAL_CONFIG
    assert texts[f"{nvidia}/capabilities/mig/monitor"] == REAL_MONITOR
    assert texts[f"{nvidia}/capabilities/fabric-imex-mgmt"] == REAL_IMEX
    assert texts["proc/driver/nvidia-caps/sys-minors"] == "fabric-imex-mgmt 4323\n"
    assert "ModifyDeviceFiles: 1\n" in texts[f"{nvidia}/params"]
    assert texts["sys/module/nvidia/version"] == "580.159.04\n"


def test_devices_lists_the_majors_under_the_names_of_the_branch() -> None:
    assert "195 nvidia\n195 nvidia-modeset\n195 nvidiactl\n510 nvidia-uvm\n511 nvidia-caps\n" in devices("580.159.04")
    assert "195 nvidia-frontend\n510 nvidia-uvm\n511 nvidia-caps\n" in devices("535.261.03")
    assert "nvidia-caps" not in devices("440.33.01")


def devices(driver: str) -> str:
    return kernel.texts(description.make(1, "T4", driver), "x86_64")["proc/devices"]


def test_a_module_of_another_version_shows_only_on_the_kernel_side() -> None:
    texts = kernel.texts(msgspec.structs.replace(MACHINE, module="570.86.15"), "x86_64")
    assert texts["sys/module/nvidia/version"] == "570.86.15\n"
    assert "580.159.04" not in "".join(texts.values())


def test_old_cards_have_the_closed_module() -> None:
    texts = kernel.texts(description.make(1, "K80", "470.256.02"), "x86_64")
    assert texts["proc/driver/nvidia/version"].startswith("NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.256.02")


def test_an_instance_has_its_rights() -> None:
    texts = kernel.texts(MACHINE, "x86_64")
    rights = "proc/driver/nvidia/capabilities/gpu0/mig/gi7"
    assert texts[f"{rights}/access"] == "DeviceFileMinor: 66\nDeviceFileMode: 292\nDeviceFileModify: 1\n"
    assert texts[f"{rights}/ci0/access"].startswith("DeviceFileMinor: 67\n")


def test_sysfs_links_lead_to_files() -> None:
    texts = kernel.texts(MACHINE, "x86_64")
    for gpu in MACHINE.gpus:
        link = f"sys/bus/pci/devices/{gpu.bus_id}"
        folder = posixpath.normpath(posixpath.join(posixpath.dirname(link), kernel.links(MACHINE)[link]))
        assert (texts[f"{folder}/vendor"], texts[f"{folder}/device"]) == ("0x10de\n", "0x2335\n")
        assert texts[f"{folder}/class"] == "0x030200\n"
        driver = posixpath.normpath(posixpath.join(folder, kernel.links(MACHINE)[f"{folder}/driver"]))
        back = posixpath.join(driver, kernel.links(MACHINE)[f"{driver}/{gpu.bus_id}"])
        assert posixpath.normpath(back) == folder
