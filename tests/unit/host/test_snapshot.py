"""The whole machine at once, on recorded folders."""

import os
from pathlib import Path

import pytest

from gpudock.facts.base import Missing
from gpudock.facts.gpu import Capability
from gpudock.facts.snapshot import Roots, Snapshot
from gpudock.host import codec, nvml_turn, snapshot
from gpudock.proc import Command, Result
from unit import h200
from unit.recorded import Recorder, fill

PODMAN = (Path(__file__).parents[2] / "data/engines/podman-4.3.1.json").read_text()
PYTHON = ("python3",)


@pytest.fixture(autouse=True)
def private_turn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(nvml_turn, "folder", lambda: str(tmp_path / "turn"))


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    folder = tmp_path / "machine"
    h200.folder(folder)
    library = "/usr/local/nvidia/lib64/libnvidia-ml.so.580.159.04"
    fill(folder, {library: "not ELF"}, {"/usr/local/nvidia/lib64/libnvidia-ml.so.1": os.path.basename(library)})
    fill(folder, {"/etc/cdi/x.yaml": "cdiVersion: 0.5.0\nkind: a.b/c\ndevices: []\n"})
    fill(folder, {"/sys/devices/pci0000:00/0000:00:06.0/drm/renderD128/dev": "226:128\n"})
    return folder


def take(folder: Path, answer: str | Result, *, engines: bool = False, packages: bool = False) -> Snapshot:
    def run(command: Command) -> Result:
        if "import nvml_child" in " ".join(command.argv):
            return answer if isinstance(answer, Result) else Result(0, answer, "")
        return Recorder({("podman", "info"): PODMAN})(command)

    root = str(folder)
    roots = Roots(driver=root, dev=root, proc=root + "/proc", sys=root + "/sys")
    taken = snapshot.take(roots, run=run, engines=engines, packages=packages)
    assert codec.decode(codec.encode(taken)) == taken
    return taken


def test_an_h200(machine: Path) -> None:
    taken = take(machine, h200.text("host-nvml.json"))
    (gpu,) = taken.gpus
    assert (gpu.name, gpu.bus_id, gpu.drm) == ("NVIDIA H200", "0000:00:06.0", ("renderD128",))
    assert taken.kernel_driver.version == "580.159.04"
    assert taken.system.os_id == "ubuntu"
    assert [spec.kind for spec in taken.cdi_specs] == ["a.b/c"]
    assert taken.engines == taken.packages == Missing("not asked")


def test_when_nvml_hangs_the_kernel_still_tells(machine: Path) -> None:
    taken = take(machine, Result(124, "", "stopped"))
    assert taken.nvml == Missing("NVML gave no answer within 5 s")
    (gpu,) = taken.gpus
    assert (gpu.uuid[:12], gpu.minor, gpu.drm) == ("GPU-0cc352ac", 0, ("renderD128",))
    assert isinstance(gpu.memory, Missing)


@pytest.mark.parametrize("nvml", ["silent", "cannot tell"])
def test_a_divided_gpu_is_known_without_nvml(machine: Path, nvml: str) -> None:
    """It must not be offered whole."""
    fill(machine, {"/proc/driver/nvidia/capabilities/gpu0/mig/gi1/access": ""})
    text = h200.text("host-nvml.json").replace('"mig":false', '"mig":{"is":"missing","reason":"unknown error"}')
    (gpu,) = take(machine, Result(124, "", "stopped") if nvml == "silent" else text).gpus
    assert (gpu.mig, gpu.name, gpu.drm) == (True, "NVIDIA H200", ("renderD128",))


def test_rights_of_the_instances_that_exist(machine: Path) -> None:
    instance = '{"index":0,"gi":1,"ci":0,"uuid":"MIG-1cc352ac-c7ba-d67c-df19-77e0366c92fa","profile":"1g.18gb"}'
    text = h200.text("host-nvml.json").replace('"mig":false,"instances":[]', f'"mig":true,"instances":[{instance}]')
    rights = take(machine, text).kernel_driver.capabilities
    assert Capability(name="gpu0/gi1/ci0/access", minor=13) in rights
    assert [right.name for right in rights if right.name.startswith("gpu")] == [
        "gpu0/gi1/access",
        "gpu0/gi1/ci0/access",
    ]


def test_engines_and_packages_when_asked(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(
        machine,
        {"/bin/podman": "", "/var/lib/dpkg/status": "Package: podman\nStatus: install ok installed\nVersion: 4\n"},
    )
    (machine / "bin/podman").chmod(0o755)
    monkeypatch.setenv("PATH", str(machine / "bin"))
    taken = take(machine, h200.text("host-nvml.json"), engines=True, packages=True)
    assert isinstance(taken.engines, tuple)
    assert [engine.name for engine in taken.engines] == ["podman"]
    assert isinstance(taken.packages, tuple)
    assert [package.name for package in taken.packages] == ["podman"]


def test_an_empty_machine_is_full_of_reasons(tmp_path: Path) -> None:
    taken = take(tmp_path / "machine", Result(127, "", "never asked"), packages=True)
    assert taken.nvml == Missing(f"no libnvidia-ml.so.1 below {tmp_path}/machine")
    assert [*taken.gpus, *taken.nodes, *taken.pci, *taken.modules, *taken.cdi_specs] == []
    assert isinstance(taken.driver, Missing)
    assert isinstance(taken.kernel_driver.version, Missing)
    assert isinstance(taken.packages, Missing)


def test_a_simulated_host_is_this_machine_with_other_gpus(machine: Path) -> None:
    root = str(machine)
    roots = Roots(driver=root, dev=root, proc=root + "/proc", sys=root + "/sys", simulated=True)
    taken = snapshot.take(
        roots, run=lambda _: Result(0, h200.text("host-nvml.json"), ""), engines=False, packages=False
    )
    assert taken.kernel_driver.version == "580.159.04"
    assert taken.system.kernel == os.uname().release
    assert not any(spec.kind == "a.b/c" for spec in taken.cdi_specs)
