"""`gpudock host`: its text, its JSON and its files."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from gpudock.cli import host_text
from gpudock.cli.host import host
from gpudock.errors import GpudockError, InputError, UsageError
from gpudock.facts.base import Missing
from gpudock.facts.driver import DriverFiles
from gpudock.facts.engine import CdiSpecFile, Engine
from gpudock.facts.gpu import GpuProcess, MigInstance, Nvml
from gpudock.facts.snapshot import Roots, Snapshot
from gpudock.facts.system import PciFunction
from gpudock.host import codec
from unit import h200

FILE = str(h200.SNAPSHOT)
H200 = codec.decode(h200.SNAPSHOT.read_bytes())
DRIVER = DriverFiles(root="/", version="580.159.04")


def changed(**fields: Any) -> Snapshot:
    return msgspec.structs.replace(H200, **{"driver": DRIVER, **fields})


def text(**fields: Any) -> str:
    return host_text.render(changed(**fields))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(host, arguments)


def refused(*arguments: str) -> GpudockError:
    error = run(*arguments).exception
    assert isinstance(error, GpudockError)
    return error


def test_a_healthy_machine_in_full() -> None:
    assert text() == (
        "System  Ubuntu 24.04 LTS, Linux ? x86_64\n"
        "        cgroup version 2, init ?, SELinux disabled\n"
        "Driver  module 580.159.04 (open), files 580.159.04, CUDA 13.0\n"
        "        0 files below /\n\n"
        "GPU  NAME         MEMORY     CC   BUS           NODE     UUID                                      STATE\n"
        "0    NVIDIA H200  140.4 GiB  9.0  0000:00:06.0  nvidia0  GPU-0cc352ac-c7ba-d67c-df19-77e0366c92fa  free"
    )


def test_simulated_is_the_first_word() -> None:
    roots = Roots(driver="/sim", dev="/sim", proc="/sim/proc", sys="/sim/sys", simulated=True)
    assert text(roots=roots).startswith("SIMULATED  ")


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        (
            {"driver": DriverFiles(root="/", version="535.54.03")},
            "files are version 535.54.03, the loaded module is 580.159.04",
        ),
        ({"driver": Missing("no libcuda")}, "There are no driver files: no libcuda"),
        ({"nvml": Missing("NVML is stuck: process 7")}, "NVML does not work: NVML is stuck: process 7"),
        ({"nvml": Nvml(driver="1", cuda="1", library="/l", problems=("GPU 1: GPU is lost",))}, "GPU 1: GPU is lost"),
        ({"nodes": H200.nodes[1:]}, "The device node /dev/nvidia0 is missing"),
        (
            {
                "pci": (
                    PciFunction(
                        address="0000:01:00.0", vendor=0x10DE, device=1, pci_class=0x030000, kernel_driver="nouveau"
                    ),
                )
            },
            "GPU 0000:01:00.0 belongs to the kernel driver nouveau",
        ),
        ({"pci": (), "gpus": ()}, "There is no NVIDIA GPU on the PCI bus"),
        (
            {"engines": (Engine(name="docker", program="/d", version="28", config_path="/j", config_error="bad"),)},
            "docker cannot read /j: bad",
        ),
        (
            {"cdi_specs": (CdiSpecFile(path="/etc/cdi/x", kind=Missing("cut off")),)},
            "/etc/cdi/x is no CDI specification: cut off",
        ),
    ],
)
def test_what_is_wrong_comes_first(fields: dict[str, Any], line: str) -> None:
    first = text(**fields).splitlines()[0]
    assert first.startswith("WRONG  ")
    assert line in first


def test_wsl_needs_no_module_and_no_nodes_but_dxg() -> None:
    gpu = msgspec.structs.replace(H200.gpus[0], minor=-1)
    system = msgspec.structs.replace(H200.system, wsl=True)
    module = msgspec.structs.replace(H200.kernel_driver, version=Missing("not loaded"))
    shown = text(gpus=(gpu,), system=system, kernel_driver=module, nodes=(), pci=())
    assert shown.splitlines()[0] == "WRONG  The device node /dev/dxg is missing"
    assert shown.count("WRONG") == 1
    assert " dxg " in shown


def test_mig_devices_and_processes_have_their_place() -> None:
    instance = MigInstance(index=0, gi=1, ci=0, uuid="MIG-1", profile="1g.18gb", memory=1 << 34)
    processes = tuple(GpuProcess(pid=pid, used_memory=1) for pid in (11, 12, 13, 14))
    gpu = msgspec.structs.replace(H200.gpus[0], mig=True, instances=(instance,), processes=processes, persistence=False)
    lines = text(gpus=(gpu,)).splitlines()
    assert lines[-2].endswith("MIG; no persistence; in use by 11, 12, 13, ...")
    assert lines[-1].split() == ["0:0", "MIG", "1g.18gb", "16.0", "GiB", "MIG-1"]


def test_engines_and_specifications_are_tables() -> None:
    engine = Engine(name="podman", program="/p", version="4.3.1", rootless=True, cdi=True, runtimes=("crun",))
    spec = CdiSpecFile(path="/etc/cdi/n.yaml", kind="nvidia.com/gpu", version="0.5.0", devices=tuple("01234567"))
    shown = text(engines=(engine,), cdi_specs=(spec,))
    assert "podman  4.3.1    yes  crun      rootless" in shown
    assert shown.endswith("/etc/cdi/n.yaml  nvidia.com/gpu  0.5.0  0, 1, 2, 3, 4, 5, ...")
    assert "install podman or docker" in text(engines=())


def test_a_snapshot_file_stands_for_a_machine(tmp_path: Path) -> None:
    assert "NVIDIA H200" in run("--snapshot", FILE).output
    assert json.loads(run("--json", "--snapshot", FILE).output)["gpus"][0]["name"] == "NVIDIA H200"
    target = tmp_path / "new.json"
    assert run("snapshot", "--snapshot", FILE, "-o", str(target)).exit_code == 0
    assert target.read_bytes() == h200.SNAPSHOT.read_bytes()


def test_options_may_stand_before_the_verb() -> None:
    assert run("--snapshot", FILE, "snapshot").output.encode() == h200.SNAPSHOT.read_bytes()


def test_bad_files_name_themselves(tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    error = refused("--snapshot", str(broken))
    assert isinstance(error, InputError)
    assert error.what.startswith(f"{broken}: ")
    assert "cut off" in error.why
    for unreadable in (tmp_path / "none", tmp_path):
        error = refused("--snapshot", str(unreadable))
        assert "cannot be read" in error.what
        assert "gpudock host snapshot -o FILE" in error.mend
    with broken.open("wb") as file:
        file.truncate(codec.LIMIT + 1)
    assert "larger than" in refused("--snapshot", str(broken)).what


@pytest.mark.parametrize("other", ["--driver-root", "--dev-root", "--simulated"])
def test_a_file_and_a_folder_exclude_each_other(other: str) -> None:
    assert isinstance(refused("--snapshot", FILE, other, "/"), UsageError)
