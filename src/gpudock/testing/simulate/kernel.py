"""What the kernel side of the simulated driver says under /proc and /sys: path -> text, links apart. No I/O."""

from gpudock.testing.simulate import capabilities
from gpudock.testing.simulate.machine import MIG_BRANCH, Description, Gpu

_FRONTEND_UNTIL = 545  # before, /proc/devices said nvidia-frontend
_OPEN_SINCE = 560  # the branch that made the open kernel module the usual one
_IMEX_SINCE = 550

_PARAMS = """\
ResmanDebugLevel: 4294967295
RmLogonRC: 1
ModifyDeviceFiles: 1
DeviceFileUID: 0
DeviceFileGID: 0
DeviceFileMode: 438
InitializeSystemMemoryAllocations: 1
UsePageAttributeTable: 4294967295
EnableMSI: 1
EnablePCIeGen3: 0
MemoryPoolSize: 0
KMallocHeapMaxSize: 0
VMallocHeapMaxSize: 0
IgnoreMMIOCheck: 0
EnableStreamMemOPs: 0
EnableUserNUMAManagement: 1
NvLinkDisable: 1
RmProfilingAdminOnly: 0
PreserveVideoMemoryAllocations: 0
EnableS0ixPowerManagement: 0
S0ixPowerManagementVideoMemoryThreshold: 256
DynamicPowerManagement: 3
DynamicPowerManagementVideoMemoryThreshold: 200
RegisterPCIDriver: 1
EnablePCIERelaxedOrderingMode: 0
EnableResizableBar: 0
EnableGpuFirmware: 18
EnableGpuFirmwareLogs: 2
RmNvlinkBandwidthLinkCount: 0
EnableDbgBreakpoint: 0
OpenRmEnableUnsupportedGpus: 1
DmaRemapPeerMmio: 1
ImexChannelCount: 2048
CreateImexChannel0: 0
GrdmaPciTopoCheckOverride: 0
CoherentGPUMemoryMode: ""
RegistryDwords: ""
RegistryDwordsPerDevice: ""
RmMsg: ""
GpuBlacklist: ""
TemporaryFilePath: ""
ExcludedGpus: ""
"""


def texts(description: Description, architecture: str) -> dict[str, str]:
    """Files below the folder: "proc/devices", "sys/module/nvidia/version", ..."""
    module = description.module or description.driver
    found = {
        "proc/devices": _devices(description),
        "proc/modules": "nvidia_uvm 1830912 0 - Live 0x0000000000000000 (O)\n"
        "nvidia_modeset 1314816 0 - Live 0x0000000000000000 (O)\n"
        "nvidia 14299136 2 nvidia_uvm,nvidia_modeset, Live 0x0000000000000000 (O)\n",
        "proc/driver/nvidia/version": _version(description, module, architecture),
        "proc/driver/nvidia/params": _PARAMS,
        "proc/driver/nvidia/registry": 'Binary: ""\n',
        "sys/module/nvidia_uvm/refcnt": "0\n",
        "sys/module/nvidia_modeset/refcnt": "0\n",
        "sys/module/nvidia_modeset/version": module + "\n",
        "sys/module/nvidia/refcnt": "2\n",
        "sys/module/nvidia/version": module + "\n",
    }
    for index, gpu in enumerate(description.gpus):
        found[f"proc/driver/nvidia/gpus/{gpu.bus_id}/information"] = _information(gpu, index, module)
        found |= {f"{_pci_folder(gpu)}/{name}": value for name, value in _pci(gpu, index).items()}
    return found | _capability_texts(description)


def links(description: Description) -> dict[str, str]:
    """Links below the folder -> their relative targets, as sysfs has them."""
    found: dict[str, str] = {}
    for gpu in description.gpus:
        folder = _pci_folder(gpu)
        found[f"sys/bus/pci/devices/{gpu.bus_id}"] = "../../../" + folder.removeprefix("sys/")
        found[f"sys/bus/pci/drivers/nvidia/{gpu.bus_id}"] = "../../../../" + folder.removeprefix("sys/")
        found[f"{folder}/driver"] = "../../../bus/pci/drivers/nvidia"
    return found


def _pci_folder(gpu: Gpu) -> str:
    return f"sys/devices/pci{gpu.bus_id[:-5]}/{gpu.bus_id}"


def _pci(gpu: Gpu, index: int) -> dict[str, str]:
    return {
        "vendor": "0x10de\n",
        "device": f"0x{gpu.pci_device:04x}\n",
        "class": "0x030200\n",
        "subsystem_vendor": "0x10de\n",
        "subsystem_device": f"0x{gpu.pci_subsystem:04x}\n",
        "revision": "0xa1\n",
        "irq": f"{_irq(index)}\n",
        "numa_node": "-1\n",
    }


def _irq(index: int) -> int:
    return 41 + index


def _devices(description: Description) -> str:
    majors = description.majors
    frontend = (
        ["nvidia-frontend"] if description.branch < _FRONTEND_UNTIL else ["nvidia", "nvidia-modeset", "nvidiactl"]
    )
    lines = [(majors.nvidia, name) for name in frontend] + [(majors.nvidia_uvm, "nvidia-uvm")]
    if description.branch >= MIG_BRANCH:
        lines.append((majors.nvidia_caps, "nvidia-caps"))
    usual = [(1, "mem"), (4, "tty"), (5, "/dev/tty"), (5, "/dev/console"), (10, "misc"), (136, "pts")]
    characters = "".join(f"{major:3} {name}\n" for major, name in sorted(usual + lines, key=lambda line: line[0]))
    return f"Character devices:\n{characters}\nBlock devices:\n  7 loop\n"


def _version(description: Description, module: str, architecture: str) -> str:
    branch = int(module.partition(".")[0])
    capabilities_there = [tuple(map(int, gpu.compute_capability.split("."))) for gpu in description.gpus]
    only_open = any(capability >= (10, 0) for capability in capabilities_there)
    if only_open or (branch >= _OPEN_SINCE and all(capability >= (7, 5) for capability in capabilities_there)):
        first = f"NVIDIA UNIX Open Kernel Module for {architecture}  {module}  Release Build  (simulated@gpudock)  "
    else:
        first = f"NVIDIA UNIX {architecture} Kernel Module  {module}  (simulated@gpudock)  "
    return f"NVRM version: {first}\nGCC version:  gcc version 12.2.0 (GCC) \n"


def _information(gpu: Gpu, index: int, module: str) -> str:
    firmware = module if tuple(map(int, gpu.compute_capability.split("."))) >= (7, 5) else "N/A"
    return (
        f"Model: \t\t {gpu.name}\n"
        f"IRQ:   \t\t {_irq(index)}\n"
        f"GPU UUID: \t {gpu.uuid}\n"
        "Video BIOS: \t ??.??.??.??.??\n"
        "Bus Type: \t PCIe\n"
        "DMA Size: \t 52 bits\n"
        "DMA Mask: \t 0xfffffffffffff\n"
        f"Bus Location: \t {gpu.bus_id}\n"
        f"Device Minor: \t {gpu.minor}\n"
        f"GPU Firmware: \t {firmware}\n"
        "GPU Excluded:\t No\n"
    )


def _capability_texts(description: Description) -> dict[str, str]:
    if description.branch < MIG_BRANCH:
        return {}
    rights = "proc/driver/nvidia/capabilities"
    found = {
        "proc/driver/nvidia-caps/mig-minors": capabilities.mig_minors(),
        "proc/driver/nvidia-caps/nvlink-minors": "fabric-mgmt 0\n",
        f"{rights}/mig/config": _right(capabilities.CONFIG, 0o400),
        f"{rights}/mig/monitor": _right(capabilities.MONITOR, 0o444),
    }
    if description.branch >= _IMEX_SINCE:
        found["proc/driver/nvidia-caps/sys-minors"] = f"fabric-imex-mgmt {capabilities.FABRIC_IMEX}\n"
        found[f"{rights}/fabric-imex-mgmt"] = _right(capabilities.FABRIC_IMEX, 0o400)
    for gpu in description.gpus:
        for each in gpu.instances:
            folder = f"{rights}/gpu{gpu.minor}/mig/gi{each.gi}"
            found[f"{folder}/access"] = _right(capabilities.gpu_instance(gpu.minor, each.gi), 0o444)
            compute = capabilities.compute_instance(gpu.minor, each.gi, each.ci)
            found[f"{folder}/ci{each.ci}/access"] = _right(compute, 0o444)
    return found


def _right(minor: int, mode: int) -> str:
    return f"DeviceFileMinor: {minor}\nDeviceFileMode: {mode}\nDeviceFileModify: 1\n"
