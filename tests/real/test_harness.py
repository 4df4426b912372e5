"""The harness itself: engines start and are gone, images run, and CDI does what it says."""

import json
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from real.harness import engines, images, leftovers, mounts, probe, processes
from real.harness.commands import CommandFailed, run
from real.harness.engines import Engine

KIND = "gpudock.test/harness"


@pytest.mark.parametrize("image", images.NAMES)
def test_every_engine_runs_every_image(any_engine: Engine, image: str) -> None:
    reference = images.load(any_engine, image)
    said = any_engine.run("run", "--rm", "--network", "none", reference, "/bin/sh", "-c", "echo $((6 * 7)); ls /dev")
    assert said.stdout.splitlines()[0] == "42"
    assert "nvidia0" not in said.stdout.split()


@pytest.mark.parametrize("image", images.WITH_PROBE)
def test_probe_tells_what_the_loader_finds(podman: Engine, image: str) -> None:
    present = "/lib/libc.musl-x86_64.so.1" if image == "musl" else "libm.so.6"
    found = probe.libraries(podman, images.load(podman, image), present, "libcuda.so.1", "libnvidia-ml.so.1")
    assert found[present].ok
    assert os.path.isabs(found[present].real)
    assert "libcuda.so.1" in found["libcuda.so.1"].error
    assert not found["libnvidia-ml.so.1"].ok


def test_libraries_lie_where_the_layout_has_them(podman: Engine) -> None:
    folders = {"tiny": "/lib/x86_64-linux-gnu", "lib64": "/usr/lib64", "debian": "/usr/lib/x86_64-linux-gnu"}
    for image, folder in folders.items():
        found = probe.libraries(podman, images.load(podman, image), "libm.so.6")["libm.so.6"]
        assert os.path.dirname(found.real) == folder


def test_probe_says_that_a_driver_is_missing(podman: Engine) -> None:
    said = probe.facts(podman, images.load(podman, "tiny"), "--nvml", "--cuda")
    assert said.keys() == {"nvml.load", "cuda.load"}
    assert "libcuda.so.1" in said["cuda.load"]


def test_probe_reads_nvml_and_cuda(podman: Engine, tmp_path: Path) -> None:
    for library, source in {"libnvidia-ml.so.1": NVML, "libcuda.so.1": CUDA}.items():
        subprocess.run(
            ["gcc", "-shared", "-fPIC", "-xc", "-", "-o", tmp_path / library], input=source, check=True, text=True
        )
    options = ("-v", f"{tmp_path}:/driver:ro", "-e", "LD_LIBRARY_PATH=/driver")
    said = probe.facts(podman, images.load(podman, "tiny"), "--nvml", "--cuda", options=options)
    assert said == dict(
        row.split(" ", 1)
        for row in (
            *("nvml.init 0", "nvml.driver 550.163.01", "nvml.count 2", "nvml.uuid.0 GPU-0", "nvml.uuid.1 GPU-1"),
            *("cuda.init 0", "cuda.version 12040", "cuda.count 2"),
        )
    )


def test_images_carry_environment_and_labels(any_engine: Engine) -> None:
    wanted = {"NVIDIA_REQUIRE_CUDA": "cuda>=12.4 brand=tesla,driver>=470,driver<471"}
    image = images.load(any_engine, "busybox", env=wanted, labels={"com.nvidia.cuda.version": "12.4 update 1"})
    said = any_engine.run("run", "--rm", "--network", "none", image, "/bin/sh", "-c", "echo $NVIDIA_REQUIRE_CUDA")
    assert said.stdout.strip() == wanted["NVIDIA_REQUIRE_CUDA"]
    labels = any_engine.run("image", "inspect", "--format", "{{json .Config.Labels}}", image).stdout
    assert json.loads(labels) == {"com.nvidia.cuda.version": "12.4 update 1"}


@pytest.fixture
def spec(tmp_path: Path) -> Iterator[Path]:
    """A CDI spec of one device: NVIDIA's character device 0, which this machine has no driver for, and a variable."""
    node = tmp_path / "nvidia0"
    os.mknod(node, stat.S_IFCHR | 0o666, os.makedev(195, 0))
    edits = {"env": ["HARNESS=yes"], "deviceNodes": [{"path": "/dev/nvidia0", "hostPath": str(node)}]}
    folder = Path("/var/run/cdi")
    made = not folder.exists()
    folder.mkdir(exist_ok=True)
    path = folder / "gpudock-test-harness.json"
    device = {"name": "zero", "containerEdits": edits}
    path.write_text(json.dumps({"cdiVersion": "0.5.0", "kind": KIND, "devices": [device]}))
    yield path
    path.unlink()
    if made:
        folder.rmdir()


def test_cdi_injects_device_and_environment(cdi_engine: Engine, spec: Path) -> None:
    assert str(spec.parent) in cdi_engine.cdi_dirs
    image = images.load(cdi_engine, "busybox")
    script = "echo $HARNESS; stat -c '%F %t:%T' /dev/nvidia0; cat /dev/nvidia0"
    said = cdi_engine.run(
        "run", "--rm", "--network", "none", f"--device={KIND}=zero", image, "/bin/sh", "-c", script, check=False
    )
    assert said.stdout.splitlines() == ["yes", "character special file c3:0"]
    assert "No such device or address" in said.stderr  # the cgroup lets it through to the driver, which is not there


def test_cdi_device_that_no_spec_has_is_refused(cdi_engine: Engine, spec: Path) -> None:
    assert spec.exists()
    image = images.load(cdi_engine, "busybox")
    said = cdi_engine.run("run", "--rm", "--network", "none", f"--device={KIND}=one", image, "/bin/true", check=False)
    assert said.returncode != 0
    assert f"{KIND}=one" in said.stderr


def test_docker20_knows_no_cdi(docker20: Engine, spec: Path) -> None:
    assert spec.exists()
    assert docker20.version.startswith("20.10.")
    assert docker20.cdi_dirs == ()
    said = docker20.run(
        "run", "--rm", f"--device={KIND}=zero", images.load(docker20, "busybox"), "/bin/true", check=False
    )
    assert said.returncode != 0
    assert "is not an absolute path" in said.stderr


def test_docker28_has_cdi(docker28: Engine) -> None:
    assert int(docker28.version.partition(".")[0]) >= 25
    assert "/var/run/cdi" in docker28.run("info", "--format", "{{json .CDISpecDirs}}").stdout


def test_failed_command_says_why(podman: Engine) -> None:
    with pytest.raises(CommandFailed, match="no-such-image"):
        podman.run("run", "--rm", "--pull", "never", "localhost/no-such-image", "true")


@pytest.mark.parametrize("name", ["podman", "docker20", "docker28"])
def test_engine_is_gone_with_its_containers(name: str, session_root: Path) -> None:
    folder = session_root / "gone"
    before = leftovers.Machine.snapshot(folder)
    with engines.START[name](folder) as engine:
        image = images.load(engine, "busybox")
        engine.run("run", "--detach", "--network", "none", image, "/bin/sleep", "987")
        commands = [process.command for process in processes.of_folder(folder)]
        assert "/bin/sleep 987" in commands
        assert mounts.below(folder)
        changed = before.differences(leftovers.Machine.snapshot(folder))
        assert any("processes: left behind" in line and "sleep 987" in line for line in changed)
        assert any(line.startswith("mounts: left behind") for line in changed)
    assert not folder.exists()
    assert not processes.of_folder(folder)
    assert not mounts.below(folder)


def test_question_about_engines_leaves_the_machines_own_podman_alone(session_root: Path, docker20: Engine) -> None:
    for env in (dict(os.environ), docker20.env):
        root = run(["podman", "info", "--format", "{{.Store.GraphRoot}}"], env=env).stdout.strip()
        assert Path(root).is_relative_to(session_root)


def test_leftovers_are_told(session_root: Path) -> None:
    before = leftovers.Machine.snapshot(session_root)
    made = Path("/etc/cdi")
    made.mkdir()
    try:
        (made / "left.yaml").touch()
        told = leftovers.settled_differences(before, session_root, patience=0)
        assert told[0] == f"files: left behind: {made} drwxr-xr-x"
        assert told[1].startswith(f"files: left behind: {made}/left.yaml -rw-r--r-- 0 bytes")
        assert len(told) == 2
    finally:
        (made / "left.yaml").unlink()
        made.rmdir()
    assert leftovers.settled_differences(before, session_root, patience=0) == []


def test_an_engines_cgroup_goes_with_those_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"{leftovers.CGROUP}-engine"
    monkeypatch.setattr(leftovers, "_ENGINE_CGROUPS", (name,))
    traces = leftovers.EngineTraces()
    made = leftovers.hierarchies()[0] / name
    (made / "buildkit").mkdir(parents=True)
    traces.remove()
    assert not made.exists()


def test_cgroups_of_a_killed_session_are_cleared() -> None:
    """With what runs in them."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    made = [each / f"gpudock-tests-{ended.pid}/1" for each in leftovers.hierarchies()]
    for each in made:
        each.mkdir(parents=True)
    joined = next(each for each in made if "cpuset" not in each.parts)
    with subprocess.Popen(["sleep", "1000"]) as running:
        (joined / "cgroup.procs").write_text(str(running.pid))
        leftovers.clear_cgroups()
        assert running.wait() < 0
    assert not [each for each in made if each.parent.exists()]


NVML = """
#include <stdio.h>
int nvmlInit_v2(void) { return 0; }
int nvmlShutdown(void) { return 0; }
int nvmlSystemGetDriverVersion(char *text, unsigned size) { return snprintf(text, size, "550.163.01") < 0; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) { *device = (void *)(size_t)(index + 1); return 0; }
int nvmlDeviceGetUUID(void *device, char *text, unsigned size) {
    return snprintf(text, size, "GPU-%d", (int)(size_t)device - 1) < 0;
}
"""
CUDA = """
int cuInit(unsigned flags) { return (int)flags; }
int cuDriverGetVersion(int *version) { *version = 12040; return 0; }
int cuDeviceGetCount(int *count) { *count = 2; return 0; }
"""
