"""The NVML child against small libraries that behave as drivers do on bad days."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpudock import proc
from gpudock.facts.base import Missing
from gpudock.facts.gpu import Nvml
from gpudock.host import nvml, nvml_turn
from real.harness.alone import alone

pytestmark = pytest.mark.real

# One healthy GPU in MIG mode with two instances, and a second one whose handle cannot be had. FAULT changes nvmlInit.
SOURCE = r"""
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
typedef struct { char legacy[16]; unsigned domain, bus, device, id, sub; char bus_id[32]; } pci_t;
typedef struct { unsigned pid; unsigned long long used; unsigned gi, ci; } process_t;
typedef struct { unsigned sm, a, b, c, d, e, gi_slices, ci_slices; unsigned long long mib; } attributes_t;
static int gpu, mig[2];

const char *nvmlErrorString(int code) { return code == 15 ? "GPU is lost" : code == 4 ? "Insufficient Permissions" : "Some Error"; }
int nvmlInit_v2(void) { FAULT; return 0; }
int nvmlSystemGetDriverVersion(char *to, unsigned size) { return snprintf(to, size, "580.159.04") < 0; }
int nvmlSystemGetCudaDriverVersion_v2(int *to) { *to = 13000; return 0; }
int nvmlDeviceGetCount_v2(unsigned *to) { *to = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **to) { *to = &gpu; return index ? 15 : 0; }
int nvmlDeviceGetUUID(void *device, char *to, unsigned size)
{
    const char *uuid = device == &gpu ? "GPU-0cc352ac-c7ba-d67c-df19-77e0366c92fa"
        : device == &mig[0] ? "MIG-11111111-c7ba-d67c-df19-77e0366c92fa" : "MIG-22222222-c7ba-d67c-df19-77e0366c92fa";
    return snprintf(to, size, "%s", uuid) < 0;
}
int nvmlDeviceGetPciInfo_v3(void *device, pci_t *to)
{
    memset(to, 0, sizeof *to);
    strcpy(to->legacy, "0000:0A:00.0");
    strcpy(to->bus_id, "00010000:0A:00.0");
    return 0;
}
int nvmlDeviceGetMinorNumber(void *device, unsigned *to) { *to = 3; return 0; }
int nvmlDeviceGetName(void *device, char *to, unsigned size)
{
    if (device == &mig[1]) return 4;
    return snprintf(to, size, device == &gpu ? "NVIDIA \"H200\"\\ \x1b[31m" : "NVIDIA H200 MIG 1g.18gb+me") < 0;
}
int nvmlDeviceGetBrand(void *device, unsigned *to) { *to = 14; return 0; }
int nvmlDeviceGetCudaComputeCapability(void *device, int *major, int *minor) { *major = 9; *minor = 0; return 0; }
int nvmlDeviceGetMemoryInfo(void *device, unsigned long long *to) { to[0] = 150754820096ull; to[1] = to[2] = 0; return 0; }
int nvmlDeviceGetMigMode(void *device, unsigned *current, unsigned *pending) { *current = 1; *pending = 0; return 0; }
int nvmlDeviceGetMaxMigDeviceCount(void *device, unsigned *to) { *to = 7; return 0; }
int nvmlDeviceGetMigDeviceHandleByIndex(void *device, unsigned index, void **to)
{
    if (index > 1) return 6;
    *to = &mig[index];
    return 0;
}
int nvmlDeviceGetGpuInstanceId(void *device, unsigned *to) { *to = device == &mig[0] ? 7 : 9; return 0; }
int nvmlDeviceGetComputeInstanceId(void *device, unsigned *to) { *to = 0; return 0; }
int nvmlDeviceGetAttributes_v2(void *device, attributes_t *to)
{
    memset(to, 0, sizeof *to);
    to->gi_slices = 2, to->ci_slices = 1, to->mib = 33280;
    return 0;
}
int nvmlDeviceGetPersistenceMode(void *device, unsigned *to) { return 4; }
int nvmlDeviceGetComputeRunningProcesses_v2(void *device, unsigned *count, process_t *to)
{
    if (*count < 2) { *count = 2; return 7; }
    *count = 2;
    to[0] = (process_t){4242, ~0ull, 7, 0};
    to[1] = (process_t){17, 1048576, ~0u, ~0u};
    return 0;
}
"""

FAULTS = {
    "healthy": "",
    "hang": "for (;;) pause()",
    "stuck": "signal(SIGTERM, SIG_IGN); for (;;) pause()",
    "spin": "for (volatile int i = 0;; i = i)",
    "segfault": "*(volatile int *)8 = 0",
    "exit": "_exit(3)",
    "garbage": 'write(1, "\\xff\\x00}{", 4)',
    "flood": "char page[4096]; memset(page, '[', sizeof page); for (int i = 0; i < 4000; i++) write(1, page, sizeof page); _exit(0)",
    "error": "return 18",
}


@pytest.fixture(scope="session")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("nvml")
    source = folder / "nvml.c"
    source.write_text(SOURCE)
    made = {}
    for name, fault in FAULTS.items():
        made[name] = str(folder / f"libnvidia-ml-{name}.so.1")
        compiler = ["cc", "-shared", "-fPIC", "-O0", "-w", f"-DFAULT={fault}", "-o", made[name], str(source)]
        subprocess.run(compiler, check=True)
    return made


@pytest.fixture
def turn(tmp_path: Path, libraries: dict[str, str]) -> Iterator[str]:
    yield str(tmp_path / "turn")
    for pid in children(libraries):
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvml, "DEADLINE", 1.0)


def children(libraries: dict[str, str]) -> list[int]:
    """NVML children with one of our libraries that are still there."""
    folder = os.path.dirname(libraries["healthy"]).encode()
    found = []
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if b"import nvml_child" in command and folder in command and state != "Z":
            found.append(int(pid))
    return found


def ask(library: str, turn: str) -> str:
    answer, gpus = nvml.ask(proc.run, library, turn_folder=turn)
    assert isinstance(answer, Missing)
    assert gpus == ()
    return answer.reason


def test_everything_is_read(libraries: dict[str, str], turn: str) -> None:
    answer, gpus = nvml.ask(proc.run, libraries["healthy"], turn_folder=turn)
    assert answer == Nvml(
        driver="580.159.04",
        cuda="13.0",
        library=libraries["healthy"],
        problems=("GPU 1: nvmlDeviceGetHandleByIndex_v2: GPU is lost",),
    )
    (gpu,) = gpus
    assert (gpu.index, gpu.minor, gpu.bus_id) == (0, 3, "10000:0a:00.0")
    assert gpu.uuid == "GPU-0cc352ac-c7ba-d67c-df19-77e0366c92fa"
    assert gpu.name == 'NVIDIA "H200"\\ \ufffd[31m'
    assert (gpu.brand, gpu.compute_capability, gpu.memory, gpu.mig) == ("nvidia", "9.0", 150754820096, True)
    assert gpu.persistence == Missing("nvmlDeviceGetPersistenceMode: Insufficient Permissions")


def test_mig_instances_and_their_processes(libraries: dict[str, str], turn: str) -> None:
    _, (gpu,) = nvml.ask(proc.run, libraries["healthy"], turn_folder=turn)
    first, second = gpu.instances
    assert (first.index, first.gi, first.ci, first.profile) == (0, 7, 0, "1g.18gb+me")
    assert (second.index, second.gi, second.profile, second.memory) == (1, 9, "1c.2g.33gb", 33280 << 20)
    assert second.uuid.startswith("MIG-22222222")
    assert isinstance(gpu.processes, tuple)
    assert [(p.pid, p.gi, p.ci) for p in gpu.processes] == [(17, None, None), (4242, 7, 0)]
    assert gpu.processes[0].used_memory == 1 << 20
    assert isinstance(gpu.processes[1].used_memory, Missing)


def test_errors_carry_the_drivers_words(libraries: dict[str, str], turn: str) -> None:
    assert ask(libraries["error"], turn) == "nvmlInit_v2: Some Error"
    assert "cannot open shared object file" in ask("/nonexistent/libnvidia-ml.so.1", turn)


def test_crashes_and_garbage_are_facts(libraries: dict[str, str], turn: str) -> None:
    assert ask(libraries["segfault"], turn) == f"NVML crashed: SIGSEGV in {libraries['segfault']}"
    assert ask(libraries["exit"], turn).startswith("NVML could not be asked")
    assert ask(libraries["garbage"], turn).startswith("NVML's answer cannot be understood")
    assert ask(libraries["flood"], turn).startswith("NVML's answer cannot be understood")


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("fault", ["hang", "spin"])
def test_a_hanging_driver_is_stopped_by_term(libraries: dict[str, str], turn: str, fault: str) -> None:
    began = time.monotonic()
    assert ask(libraries[fault], turn) == "NVML gave no answer within 1 s"
    assert time.monotonic() - began < 30
    assert children(libraries) == []
    assert isinstance(nvml.ask(proc.run, libraries["healthy"], turn_folder=turn)[0], Nvml)


@pytest.mark.usefixtures("soon")
def test_a_stuck_child_is_abandoned_and_stays_the_only_one(libraries: dict[str, str], turn: str) -> None:
    began = time.monotonic()
    assert ask(libraries["stuck"], turn) == "NVML gave no answer within 1 s and is stuck"
    assert time.monotonic() - began < 30
    (stuck,) = children(libraries)
    began = time.monotonic()
    for _ in range(5):
        assert ask(libraries["healthy"], turn).startswith(
            f"NVML is stuck: process {stuck} waits for the driver since 20"
        )
    assert time.monotonic() - began < 4, "nobody waits for the stuck one again"
    assert children(libraries) == [stuck]
    os.kill(stuck, signal.SIGKILL)
    while children(libraries):
        time.sleep(0.01)
    assert isinstance(nvml.ask(proc.run, libraries["healthy"], turn_folder=turn)[0], Nvml)


def test_many_at_once_take_turns(libraries: dict[str, str], turn: str) -> None:
    script = f"from gpudock import proc; from gpudock.host import nvml; print(nvml.ask(proc.run, {libraries['healthy']!r}, turn_folder={turn!r})[0].driver)"
    crowd = [subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) for _ in range(12)]
    assert [child.communicate()[0] for child in crowd] == [b"580.159.04\n"] * 12


def test_a_full_run_folder_does_not_hide_the_gpus(libraries: dict[str, str], tmp_path: Path) -> None:
    def work() -> None:
        place = tmp_path / "full"
        place.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k,mode=755", "tmpfs", str(place)], check=True)
        (place / "nvml.lock").touch(0o600)
        (place / "filler").write_bytes(bytes(4096))
        assert os.statvfs(place).f_bfree == 0
        answer, _ = nvml.ask(proc.run, libraries["healthy"], turn_folder=str(place))
        assert isinstance(answer, Nvml)

    alone(work)


def test_a_folder_that_others_can_write_is_not_trusted(tmp_path: Path) -> None:
    place = tmp_path / "open"
    place.mkdir()
    place.chmod(0o777)
    with nvml_turn.taken(str(place), 5.0) as turn:
        assert turn is None
    assert list(place.iterdir()) == []
