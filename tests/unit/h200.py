"""A real H200 host from what was recorded there. `python tests/unit/h200.py FOLDER` writes its snapshot anew.

Its driver's files are in other fixtures; here they are Missing.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import msgspec

from gpudock import __version__
from gpudock.facts.base import Missing
from gpudock.facts.snapshot import FORMAT, Roots, Snapshot
from gpudock.host import codec, devices, kernel, nvml, pci, system
from gpudock.host.root import Root
from gpudock.proc import Command, Result

sys.path.insert(0, str(Path(__file__).parents[1]))

from unit.recorded import ListedDevices, fill, sections

DATA = Path(__file__).parents[1] / "data/h200"
SNAPSHOT = DATA / "snapshot.json"
OS_RELEASE = 'PRETTY_NAME="Ubuntu 24.04 LTS"\nNAME="Ubuntu"\nVERSION_ID="24.04"\nID=ubuntu\nID_LIKE=debian\n'
LIBRARY = "/usr/local/nvidia/lib64/libnvidia-ml.so.580.159.04"


def text(name: str) -> str:
    return (DATA / name).read_text()


def folder(place: Path) -> Root:
    """Its /proc, /sys and /etc/os-release below `place`."""
    recorded = text("host-modules-devices.txt").splitlines()
    majors = [line for line in recorded if re.match(r"\d", line)]
    modules = [line for line in recorded if line not in majors]
    files = sections(text("host-proc-driver-nvidia.txt"))
    files["/etc/os-release"] = OS_RELEASE
    files["/proc/modules"] = "\n".join(modules) + "\n"
    files["/proc/devices"] = "Character devices:\n  1 mem\n" + "\n".join(majors) + "\n\nBlock devices:\n254 virtblk\n"
    files["/sys/module/nvidia/version"] = "580.159.04\n"
    files["/sys/fs/cgroup/cgroup.controllers"] = "cpuset cpu io memory pids\n"
    links = {}
    for line in text("host-pci.txt").splitlines():
        path, vendor, device, pci_class = line.split()
        address = path.rpartition("/")[2]
        real = f"/sys/devices/pci0000:00/{address}"
        files |= {f"{real}/vendor": vendor, f"{real}/device": device, f"{real}/class": pci_class}
        links[path] = f"../../../devices/pci0000:00/{address}"
        if vendor == "0x10de":
            links[f"{real}/driver"] = "../../../bus/pci/drivers/nvidia"
    return fill(place, files, links)


def answer(command: Command) -> Result:
    """NVML as it answered there."""
    assert command.argv[-1] == LIBRARY or LIBRARY in command.argv
    return Result(0, text("host-nvml.json"), "")


def snapshot(place: Path) -> Snapshot:
    root = folder(place)
    proc, sysfs = Root(root.folder + "/proc"), Root(root.folder + "/sys")
    nvml_answer, gpus = nvml.ask(answer, LIBRARY, turn_folder=str(place / "turn"))
    return Snapshot(
        format=FORMAT,
        gpudock=__version__,
        taken="2026-11-22T03:34:01Z",
        roots=Roots(),
        system=msgspec.structs.replace(system.read(root, proc, sysfs), architecture="x86_64"),
        pci=pci.read(sysfs),
        modules=kernel.modules(proc, sysfs),
        kernel_driver=kernel.driver(proc),
        nvml=nvml_answer,
        gpus=gpus,
        nodes=devices.read(ListedDevices(text("host-dev.ls.txt")), ()),
        driver=Missing("recorded apart"),
    )


if __name__ == "__main__":
    SNAPSHOT.write_bytes(codec.encode(snapshot(Path(sys.argv[1]))))
