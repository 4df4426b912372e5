"""Simulated GPUs as programs meet them: compiled here, loaded by the real loader, asked through the real interfaces."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gpudock import proc
from gpudock.errors import HostError, RefusedError
from gpudock.testing.simulate import build, description, libraries, nodes
from gpudock.testing.simulate.machine import Description, Process

pytestmark = pytest.mark.real

DRIVER = "580.159.04"
LIBRARIES = libraries.library_folder("debian", os.uname().machine)
NOTICE = "SIMULATED GPUs by gpudock"
# The table of a machine with one H200, without its date.
REAL_HEADING = """\
+-----------------------------------------------------------------------------------------+
| NVIDIA-SMI 580.159.04             Driver Version: 580.159.04     CUDA Version: 13.0     |
+-----------------------------------------+------------------------+----------------------+
| GPU  Name                 Persistence-M | Bus-Id          Disp.A | Volatile Uncorr. ECC |
| Fan  Temp   Perf          Pwr:Usage/Cap |           Memory-Usage | GPU-Util  Compute M. |
|                                         |                        |               MIG M. |
|=========================================+========================+======================|
|   0  NVIDIA H200                    On  |   00000000:00:06.0 Off |                    0 |
| N/A   40C    P0            108W /  700W |       0MiB / 143771MiB |      0%      Default |
|                                         |                        |             Disabled |
+-----------------------------------------+------------------------+----------------------+

+-----------------------------------------------------------------------------------------+
| Processes:                                                                              |
|  GPU   GI   CI              PID   Type   Process name                        GPU Memory |
|        ID   ID                                                               Usage      |
|=========================================================================================|
|  No running processes found                                                             |
+-----------------------------------------------------------------------------------------+
"""


def machine() -> Description:
    """Two H200: the first in three instances with one process in the second, the other whole with two processes."""
    made = description.make(2, "H200", DRIVER, mig=["3g.71gb,1g.18gb,1g.18gb"])
    split, whole = made.gpus
    first, second, third = split.instances
    second = msgspec.structs.replace(second, processes=(Process(pid=77, name="python3", used_memory=5 << 30),))
    whole = msgspec.structs.replace(
        whole,
        utilization=33,
        processes=(
            Process(pid=4321, name="/usr/bin/python3 train.py", used_memory=1 << 30),
            Process(pid=9, name="Xorg", used_memory=None, type="G"),
        ),
    )
    split = msgspec.structs.replace(split, instances=(first, second, third))
    return msgspec.structs.replace(made, gpus=(split, whole))


@pytest.fixture(scope="module")
def workshop(session_root: Path) -> Iterator[Path]:
    folder = session_root / "simulate"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that every user may enter: the session's own is closed."""
    with tempfile.TemporaryDirectory(prefix="gpudock-public-") as folder:
        os.chmod(folder, 0o777)
        yield Path(folder)


@pytest.fixture(scope="module")
def simulated(workshop: Path) -> Path:
    folder = workshop / "two-h200"
    build.build(machine(), str(folder), runner=proc.run)
    return folder


def smi(root: Path, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [f"{root}/usr/bin/nvidia-smi", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
        env={"LD_LIBRARY_PATH": f"{root}/{LIBRARIES}"},
        **options,
    )


def ask(root: Path, library: str, program: str) -> Any:
    """What PROGRAM (Python, with the loaded `lib` and a list `out`) finds, through the interface of LIBRARY."""
    script = (
        "import ctypes, json; from ctypes import *\n"
        f"lib = CDLL({str(root / LIBRARIES / library)!r}); out = []\n{program}\nprint(json.dumps(out))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True, timeout=20)
    return json.loads(done.stdout)


@contextlib.contextmanager
def hidden(root: Path, *names: str) -> Iterator[None]:
    """The machine without some of its device nodes."""
    for name in names:
        os.rename(root / "dev" / name, root / "dev" / f"{name}.hidden")
    try:
        yield
    finally:
        for name in names:
            os.rename(root / "dev" / f"{name}.hidden", root / "dev" / name)


def dynamic(path: Path) -> str:
    return subprocess.run(["readelf", "-dW", path], capture_output=True, text=True, check=True).stdout


def test_every_library_is_elf_has_its_soname_and_needs_nothing(simulated: Path) -> None:
    found = 0
    for path in (simulated / LIBRARIES).rglob("*.so*"):
        if path.is_symlink():
            assert path.exists(), path
            continue
        text = dynamic(path)
        soname = re.search(r"soname: \[(.*)\]", text)
        assert soname, path
        assert "NEEDED" not in text, path
        assert (path.parent / soname[1]).resolve() == path
        found += 1
    assert found == 2 + len(libraries.placeholders(580))


def test_nvidia_smi_runs_with_the_oldest_glibc_of_its_architecture(simulated: Path) -> None:
    text = subprocess.run(
        ["readelf", "-VW", simulated / "usr/bin/nvidia-smi"], capture_output=True, text=True, check=True
    ).stdout
    oldest = {"x86_64": "GLIBC_2.2.5", "aarch64": "GLIBC_2.17"}[os.uname().machine]
    assert set(re.findall(r"Name: (\S+)", text)) == {oldest}


def test_nvidia_smi_lists_as_the_real_one(simulated: Path) -> None:
    done = smi(simulated, "-L")
    split, whole = machine().gpus
    first, second, third = split.instances
    assert done.stdout == (
        f"GPU 0: NVIDIA H200 (UUID: {split.uuid})\n"
        f"  MIG 3g.71gb     Device  0: (UUID: {first.uuid})\n"
        f"  MIG 1g.18gb     Device  1: (UUID: {second.uuid})\n"
        f"  MIG 1g.18gb     Device  2: (UUID: {third.uuid})\n"
        f"GPU 1: NVIDIA H200 (UUID: {whole.uuid})\n"
    )
    assert done.stderr.startswith(NOTICE)
    assert done.returncode == 0


def test_the_table_is_the_real_one(workshop: Path) -> None:
    made = description.make(1, "H200", DRIVER)
    gpu = msgspec.structs.replace(made.gpus[0], bus_id="0000:00:06.0", power=108_400)
    folder = workshop / "one-h200"
    build.build(msgspec.structs.replace(made, gpus=(gpu,)), str(folder), runner=proc.run)
    done = smi(folder)
    assert done.stdout.splitlines()[1].startswith(NOTICE)
    assert done.stdout.split("\n", 2)[2] == REAL_HEADING


def test_the_table_shows_instances_and_processes(simulated: Path) -> None:
    lines = smi(simulated).stdout.splitlines()
    assert {len(line) for line in lines[2:] if line} == {len(REAL_HEADING.splitlines()[0])}
    text = "\n".join(lines)
    assert "|  0    7   0   1  |            5120MiB / 16384MiB    | 16      0 |  1   0    1    0    1 |" in text
    assert "|    0    7    0               77      C   python3                                5120MiB |" in text
    assert "|    1   N/A  N/A            4321      C   /usr/bin/python3 train.py              1024MiB |" in text


def test_queries(simulated: Path) -> None:
    split, whole = machine().gpus
    done = smi(simulated, "--query-gpu=index,uuid,name,driver_version", "--format=csv")
    assert done.stdout.splitlines() == [
        "index, uuid, name, driver_version",
        f"0, {split.uuid}, NVIDIA H200, {DRIVER}",
        f"1, {whole.uuid}, NVIDIA H200, {DRIVER}",
    ]
    done = smi(simulated, "--query-gpu=memory.used,utilization.gpu", "--format=csv,noheader")
    assert done.stdout == "5120 MiB, [N/A]\n1024 MiB, 33 %\n"
    done = smi(simulated, "--query-gpu=coffee", "--format=csv")
    assert (done.stdout, done.returncode) == ('Field "coffee" is not a valid field to query.\n', 2)
    assert smi(simulated, "--coffee").returncode == 2


NVML_VALUES = """
lib.nvmlInit_v2()
class Pci(Structure):
    _fields_ = [("legacy", c_char*16), ("domain", c_uint), ("bus", c_uint), ("device", c_uint), ("id", c_uint),
                ("subsystem", c_uint), ("bus_id", c_char*32)]
class Process(Structure):
    _fields_ = [("pid", c_uint), ("used", c_ulonglong), ("gi", c_uint), ("ci", c_uint)]
def text(function, handle):
    to = create_string_buffer(96); code = function(handle, to, 96); return code or to.value.decode()
def number(function, handle):
    to = c_uint(); code = function(handle, byref(to)); return -code or to.value
def processes(function, handle):
    count = c_uint(); function(handle, byref(count), None)
    to = (Process * count.value)(); function(handle, byref(count), to)
    return [[p.pid, p.used, p.gi, p.ci] for p in to]
def device(handle):
    memory = (c_ulonglong * 5)(0x02000028); lib.nvmlDeviceGetMemoryInfo_v2(handle, memory)
    major, minor, pci = c_int(), c_int(), Pci()
    lib.nvmlDeviceGetCudaComputeCapability(handle, byref(major), byref(minor))
    lib.nvmlDeviceGetPciInfo_v3(handle, byref(pci))
    return {"uuid": text(lib.nvmlDeviceGetUUID, handle), "name": text(lib.nvmlDeviceGetName, handle),
            "minor": number(lib.nvmlDeviceGetMinorNumber, handle), "index": number(lib.nvmlDeviceGetIndex, handle),
            "brand": number(lib.nvmlDeviceGetBrand, handle), "power": number(lib.nvmlDeviceGetPowerUsage, handle),
            "gi": number(lib.nvmlDeviceGetGpuInstanceId, handle), "ci": number(lib.nvmlDeviceGetComputeInstanceId, handle),
            "memory": list(memory)[1:], "cc": f"{major.value}.{minor.value}", "bus_id": pci.bus_id.decode(),
            "compute": processes(lib.nvmlDeviceGetComputeRunningProcesses_v3, handle),
            "graphics": processes(lib.nvmlDeviceGetGraphicsRunningProcesses_v3, handle)}
count = c_uint(); lib.nvmlDeviceGetCount_v2(byref(count))
for index in range(count.value):
    handle = c_void_p(); lib.nvmlDeviceGetHandleByIndex_v2(index, byref(handle)); out.append(device(handle))
    for mig in range(8):
        instance = c_void_p()
        if lib.nvmlDeviceGetMigDeviceHandleByIndex(handle, mig, byref(instance)) == 0: out.append(device(instance))
"""


def test_nvml_answers_what_is_described(simulated: Path) -> None:
    found = ask(simulated, "libnvidia-ml.so.1", NVML_VALUES)
    split, whole = machine().gpus
    assert [each["uuid"] for each in found] == [split.uuid, *(each.uuid for each in split.instances), whole.uuid]
    nobody = 0xFFFFFFFF
    assert found[-1] == {
        "uuid": whole.uuid,
        "name": "NVIDIA H200",
        "minor": 1,
        "index": 1,
        "brand": 14,
        "power": 87_500,
        "gi": -2,
        "ci": -2,
        "memory": [whole.memory, whole.reserved, whole.memory - whole.reserved - (1 << 30), 1 << 30],
        "cc": "9.0",
        "bus_id": "00000000:0A:00.0",
        "compute": [[4321, 1 << 30, nobody, nobody]],
        "graphics": [[9, 2**64 - 1, nobody, nobody]],
    }
    second = found[2]
    assert (second["name"], second["index"], second["minor"]) == ("NVIDIA H200 MIG 1g.18gb", 1, -3)
    assert (second["gi"], second["ci"], second["memory"][0]) == (7, 0, 16384 << 20)
    assert found[0]["compute"] == second["compute"] == [[77, 5 << 30, 7, 0]]


CUDA_VALUES = """
version, count, size = c_int(), c_int(), c_size_t()
out += [lib.cuDriverGetVersion(byref(version)), version.value, lib.cuDeviceGetCount(byref(count)), lib.cuInit(0)]
out += [lib.cuDeviceGetCount(byref(count)), count.value]
for device in range(count.value):
    name, uuid = create_string_buffer(64), (c_ubyte * 16)()
    lib.cuDeviceGetName(name, 64, device); lib.cuDeviceGetUuid_v2(uuid, device)
    lib.cuDeviceTotalMem_v2(byref(size), device)
    out.append([name.value.decode(), bytes(uuid).hex(), size.value])
"""


def test_cuda_counts_each_instance_as_a_device(simulated: Path) -> None:
    split, whole = machine().gpus
    devices = [[f"NVIDIA H200 MIG {each.profile}", each.uuid, each.memory] for each in split.instances]
    devices.append(["NVIDIA H200", whole.uuid, whole.memory])
    expected = [[name, str(uuid)[4:].replace("-", ""), size] for name, uuid, size in devices]
    assert ask(simulated, "libcuda.so.1", CUDA_VALUES) == [0, 13000, 3, 0, 0, 4, *expected]
    with hidden(simulated, "nvidia0"):
        assert ask(simulated, "libcuda.so.1", CUDA_VALUES)[5:] == [1, expected[-1]]
    with hidden(simulated, "nvidia-uvm"):
        assert ask(simulated, "libcuda.so.1", CUDA_VALUES)[3] == 999
    with hidden(simulated, "nvidia0", "nvidia1"):
        assert ask(simulated, "libcuda.so.1", CUDA_VALUES)[3] == 100


def test_only_what_has_its_nodes_is_seen(simulated: Path) -> None:
    split, whole = machine().gpus
    with hidden(simulated, "nvidia0"):
        assert smi(simulated, "-L").stdout == f"GPU 0: NVIDIA H200 (UUID: {whole.uuid})\n"
    for cap in ("nvidia-caps/nvidia-cap66", "nvidia-caps/nvidia-cap67"):
        with hidden(simulated, cap):
            listed = smi(simulated, "-L").stdout
            assert split.instances[1].uuid not in listed
            assert f"Device  1: (UUID: {split.instances[2].uuid})" in listed
    with hidden(simulated, "nvidia0", "nvidia1"):
        done = smi(simulated, "-L")
        assert (done.stdout, done.returncode) == ("No devices found.\n", 0)
        assert smi(simulated).returncode == 6
    with hidden(simulated, "nvidiactl"):
        done = smi(simulated, "-L")
        assert done.stdout.endswith("Failed to initialize NVML: Driver Not Loaded\n")
        assert (done.returncode, done.stderr.startswith(NOTICE)) == (9, True)
        (simulated / "dev/nvidiactl").touch()  # a 0-byte leftover is no device
        assert smi(simulated, "-L").returncode == 9
        (simulated / "dev/nvidiactl").unlink()


def test_a_user_who_may_not_open_the_nodes_is_told(public: Path) -> None:
    folder = public / "gpus"
    build.build(machine(), str(folder), runner=proc.run)
    as_nobody = {"user": 65534, "group": 65534, "extra_groups": []}
    assert smi(folder, "-L", **as_nobody).returncode == 0
    os.chmod(folder / "dev/nvidia0", 0o600)
    assert smi(folder, "-L", **as_nobody).stdout == f"GPU 0: NVIDIA H200 (UUID: {machine().gpus[1].uuid})\n"
    os.chmod(folder / "dev/nvidiactl", 0o600)
    done = smi(folder, "-L", **as_nobody)
    assert (done.stdout, done.returncode) == ("Failed to initialize NVML: Insufficient Permissions\n", 4)


def test_in_a_container_the_nodes_are_those_of_the_container(simulated: Path, workshop: Path) -> None:
    root = workshop / "container"
    wanted = subprocess.run(
        ["ldd", simulated / "usr/bin/nvidia-smi"], capture_output=True, text=True, check=True
    ).stdout
    for name in re.findall(r"(/\S+)", wanted):
        (root / name[1:]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(name, root / name[1:])
    (root / LIBRARIES).mkdir(parents=True, exist_ok=True)
    shutil.copy(simulated / LIBRARIES / "libnvidia-ml.so.1", root / LIBRARIES / "libnvidia-ml.so.1")
    (root / "dev").mkdir()
    for node in nodes.nodes(build.read(str(simulated))):
        if node.path in {"dev/nvidiactl", "dev/nvidia1"}:
            nodes.make([node], str(root))
    (root / "usr/bin").mkdir()
    shutil.copy(simulated / "usr/bin/nvidia-smi", root / "usr/bin/nvidia-smi")
    shutil.copy(simulated / "usr/bin/nvidia-persistenced", root / "usr/bin/nvidia-persistenced")

    def inside(*argv: str) -> str:
        env = {"LD_LIBRARY_PATH": f"/{LIBRARIES}"}
        done = subprocess.run(
            [shutil.which("chroot") or "chroot", root, *argv], capture_output=True, text=True, check=True, env=env
        )
        return done.stdout

    assert inside("/usr/bin/nvidia-smi", "-L") == f"GPU 0: NVIDIA H200 (UUID: {machine().gpus[1].uuid})\n"
    assert "SIMULATED" in inside("/usr/bin/nvidia-persistenced")


@pytest.mark.parametrize(
    ("fault", "waits", "survives_term", "code"),
    [
        ("hang", True, False, -signal.SIGTERM),
        ("stuck", True, True, -signal.SIGKILL),
        ("segfault", False, False, -signal.SIGSEGV),
        ("error:15", False, False, 15),
    ],
)
def test_drivers_that_go_wrong(workshop: Path, fault: str, waits: bool, survives_term: bool, code: int) -> None:
    folder = workshop / "faulty"
    faulty = msgspec.structs.replace(description.make(1, "T4", "535.261.03"), faults={"nvmlInit_v2": fault})
    build.build(faulty, str(folder), runner=proc.run)
    try:
        with subprocess.Popen(
            [folder / "usr/bin/nvidia-smi", "-L"],
            env={"LD_LIBRARY_PATH": f"{folder}/{LIBRARIES}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as child:
            try:
                child.wait(1.0 if waits else 20.0)
                assert not waits
            except subprocess.TimeoutExpired:
                assert waits
            child.terminate()
            if survives_term:
                time.sleep(0.3)
                assert child.poll() is None
                child.kill()
            assert child.wait(20) == code
    finally:
        build.remove(str(folder))


def test_an_upgrade_leaves_one_version(workshop: Path) -> None:
    folder = workshop / "upgraded"
    before = set(os.listdir(workshop))
    build.build(description.make(1, "A100", "535.261.03"), str(folder), runner=proc.run, layout="fedora")
    node = os.stat(folder / "dev/nvidia0").st_rdev
    build.upgrade(str(folder), "550.163.01", runner=proc.run)
    assert (folder / "usr/lib64/libcuda.so.1").resolve().name == "libcuda.so.550.163.01"
    assert not list(folder.rglob("*535.261.03*"))
    assert (folder / "sys/module/nvidia/version").read_text() == "550.163.01\n"
    assert os.stat(folder / "dev/nvidia0").st_rdev == node
    env = {"LD_LIBRARY_PATH": f"{folder}/usr/lib64"}
    query = ["--query-gpu=driver_version", "--format=csv,noheader"]
    done = subprocess.run([folder / "usr/bin/nvidia-smi", *query], capture_output=True, text=True, check=True, env=env)
    assert done.stdout == "550.163.01\n"
    build.remove(str(folder))
    assert set(os.listdir(workshop)) == before


def test_a_module_of_another_version_is_a_mismatch(workshop: Path) -> None:
    folder = workshop / "mismatch"
    made = msgspec.structs.replace(description.make(1, "T4", "550.163.01"), module="535.261.03")
    build.build(made, str(folder), runner=proc.run)
    done = smi(folder)
    assert (done.stdout, done.returncode) == ("Failed to initialize NVML: Driver/library version mismatch\n", 18)


def test_a_failed_build_changes_nothing(simulated: Path, workshop: Path) -> None:
    before = set(os.listdir(workshop))

    def broken(command: proc.Command) -> proc.Result:
        return proc.Result(1, "", "error: out of cheese") if "smi.c" in command.argv[-4] else proc.run(command)

    for folder in (simulated, workshop / "never"):
        with pytest.raises(HostError, match="out of cheese"):
            build.build(machine(), str(folder), runner=broken, replace=True)
    assert set(os.listdir(workshop)) == before
    assert smi(simulated, "-L").returncode == 0
    with pytest.raises(RefusedError, match="exists already"):
        build.build(machine(), str(simulated), runner=proc.run)


def test_a_killed_build_leaves_no_folder_and_is_cleared_away(workshop: Path) -> None:
    folder = workshop / "killed"
    script = (
        "import os, signal; from gpudock.testing.simulate import build, description\n"
        "build.build(description.make(1, 'T4', '535.261.03'), "
        f"{str(folder)!r}, runner=lambda command: os.kill(os.getpid(), signal.SIGKILL))"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, timeout=20)
    assert done.returncode == -signal.SIGKILL
    assert not folder.exists()
    assert [name for name in os.listdir(workshop) if name.startswith(".killed.")]
    build.build(description.make(0, "T4", "535.261.03"), str(folder), runner=proc.run)
    assert not [name for name in os.listdir(workshop) if name.startswith(".")]
    assert smi(folder, "-L").stdout == "No devices found.\n"


def test_two_builds_at_once_are_refused(workshop: Path) -> None:
    folder = workshop / "crowded" / "gpus"

    def meanwhile(_: proc.Command) -> proc.Result:
        build.build(description.make(1, "T4", "535.261.03"), str(folder), runner=proc.run)
        raise AssertionError

    with pytest.raises(HostError, match="Another program builds"):
        build.build(description.make(1, "T4", "535.261.03"), str(folder), runner=meanwhile)
    assert os.listdir(folder.parent) == []


def test_without_the_right_to_make_nodes_one_clear_error(public: Path) -> None:
    os.seteuid(65534)
    try:
        with pytest.raises(HostError) as error:
            nodes.make(nodes.nodes(machine()), str(public / "gpus"))
    finally:
        os.seteuid(0)
    assert "sudo" in error.value.mend
