"""From a GPU to a container of a real engine, and to its owner."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gpudock import proc
from gpudock.engine import endpoint
from gpudock.engine.base import Client
from gpudock.engine.podman import Podman
from gpudock.host.root import Root
from gpudock.monitor import units
from gpudock.monitor.attribute import APART, Machine
from gpudock.monitor.clients import As
from gpudock.monitor.known import Containers
from gpudock.monitor.processes import Processes, own_namespace
from gpudock.monitor.sample import Owner, Process
from gpudock.testing.simulate import build, description
from real.harness import images, subordinate
from real.harness.commands import run
from real.harness.engines import Engine
from real.harness.product import Product, product
from real.harness.rootless import Rootless, rootless_podman

pytestmark = pytest.mark.real
# With no more rights than the unit of `gpudock serve` has.
_RIGHTS = ",".join(("-all", *(f"+{each.removeprefix('CAP_').lower()}" for each in units.CAPABILITIES)))
AS_UNIT = ("setpriv", "--inh-caps=-all", f"--bounding-set={_RIGHTS}")


@pytest.fixture(scope="module")
def gpus(session_root: Path) -> Path:
    folder = session_root / "attributed"
    build.build(description.make(2, "H200", "580.159.04"), str(folder), runner=proc.run)
    return folder


@pytest.fixture
def gpudock(session_root: Path) -> Iterator[Product]:
    with product(session_root) as made:
        yield made


@pytest.fixture
def on_gpus(gpus: Path) -> Iterator[Path]:
    """The file that says which processes are on the simulated GPUs: GPU PID BYTES UTILIZATION NAME."""
    yield gpus / "processes"
    (gpus / "processes").unlink(missing_ok=True)


def status(gpus: Path, env: dict[str, str], *words: str) -> Any:
    argv = [*AS_UNIT, sys.executable, "-m", "gpudock", "status", "--simulated", str(gpus), *words]
    done = run(argv, env=env | {"GPUDOCK_RUN_DIR": f"{gpus}-run"})
    return json.loads(done.stdout) if "--json" in words else done.stdout


def test_gpu_process_container_environment_person(any_engine: Engine, gpus: Path, on_gpus: Path) -> None:
    reference = images.load(any_engine, "busybox")
    labels = (
        "--label",
        "gpudock.env=torch",
        "--label",
        "gpudock.owner=alice",
        "--label",
        "com.docker.compose.project=lab",
    )
    at_once = ("--stop-signal", "KILL")  # sleep hears nothing else, and podman would wait ten seconds
    flags = ("--name", "gpudock-attributed", "--network", "none", "--memory", "64m", *at_once, *labels)
    any_engine.run("run", "-d", *flags, reference, "/bin/sleep", "100")
    outside = subprocess.Popen(["sleep", "100"])
    try:
        pid = int(any_engine.run("inspect", "--format", "{{.State.Pid}}", "gpudock-attributed").stdout)
        on_gpus.write_text(f"1 {pid} 1048576 30 python\n0 {outside.pid} 4096 5 other\n")
        sample = status(gpus, any_engine.env, "--json")
        inside = next(each for each in sample["processes"] if each["pid"] == pid)
        (container,) = sample["containers"]
        assert (container["name"], container["environment"], container["project"]) == (
            "gpudock-attributed",
            "torch",
            "lab",
        )
        assert container["engine"] == ("podman" if any_engine.name == "podman" else "docker")
        assert "busybox" in container["image"]
        assert inside["container"] == container["id"]
        assert inside["owner"] == container["owner"] == {"name": "alice", "uid": None, "source": "label"}
        assert (inside["name"], inside["user"], inside["memory"], inside["utilization"]["gpu"]) == (
            "sleep",
            "root",
            1 << 20,
            30,
        )
        assert inside["gpu"] == sample["gpus"][1]["uuid"]
        assert container["use"]["memory_limit"] == 64 << 20
        assert 0 < container["use"]["memory"] < 64 << 20
        assert isinstance(container["use"]["cpu_seconds"], float)
        host = next(each for each in sample["processes"] if each["pid"] == outside.pid)
        assert (host["container"], host["owner"]["name"]) == ("", "root")
        assert {each["name"] for each in sample["people"]} == {"alice", "root"}
        lines = [" ".join(line.split()) for line in status(gpus, any_engine.env).splitlines()]
        assert f"{pid} 1 1.0 MiB 30 % alice gpudock-attributed sleep" in lines
    finally:
        outside.kill()
        outside.wait()
        any_engine.run("rm", "--force", "gpudock-attributed", check=False)


def test_an_engine_that_is_down_costs_the_names_alone(docker28: Engine, gpus: Path, on_gpus: Path) -> None:
    reference = images.load(docker28, "busybox")
    docker28.run("run", "-d", "--name", "gpudock-nameless", "--network", "none", reference, "/bin/sleep", "100")
    try:
        pid = int(docker28.run("inspect", "--format", "{{.State.Pid}}", "gpudock-nameless").stdout)
        on_gpus.write_text(f"0 {pid} 1048576 30 python\n")
        down = docker28.env | {"DOCKER_HOST": f"unix://{gpus}/simulated.json"}  # it is there, and nobody listens
        sample = status(gpus, down, "--json")
        (container,) = sample["containers"]
        assert (container["name"], len(container["id"])) == ("", 64)
        assert any("docker" in problem for problem in sample["problems"])
        assert sample["processes"][0]["owner"]["name"] == "root"
    finally:
        docker28.run("rm", "--force", "gpudock-nameless", check=False)


@pytest.fixture(scope="module")
def rootless(session_root: Path) -> Iterator[Rootless]:
    with rootless_podman(session_root) as made:
        yield made


def test_podman_of_a_user_is_seen_by_root(rootless: Rootless) -> None:
    rootless("run", "-d", "--name", "own", "--label", "gpudock.owner=mallory", "localhost/tiny", "/bin/sleep", "100")
    try:
        pid = int(rootless("inspect", "--format", "{{.State.Pid}}", "own").stdout)
        identity = rootless("inspect", "--format", "{{.Id}}", "own").stdout.strip()

        def clients(user: int) -> tuple[Client, ...]:
            if user != subordinate.UID:
                return ()
            return (As(Podman("podman", endpoint.podman({})), (*AS_UNIT, *rootless.before)),)

        containers = Containers(clients, proc.run, Root("/proc"))
        machine = Machine(Root("/"), Root("/proc"), Root("/sys"), containers, wait=20.0, simulated=True)
        processes, (container,), (person,) = machine.look([Process(pid=pid, gpu="GPU-0", memory=5)])
        assert (container.id, container.name, container.engine) == (f"{identity}@{subordinate.UID}", "own", "podman")
        assert [each.owner for each in processes] == [
            Owner(name="daemon", uid=1, source="subuid")
        ]  # whatever the label says
        assert (person.name, person.uid, person.containers) == ("daemon", 1, (container.id,))
    finally:
        rootless("rm", "--force", "--time", "0", "own", check=False)


def test_serve_in_a_container_names_the_others(docker28: Engine, gpudock: Product) -> None:
    """As docs/monitoring.md has it, with this machine's Python and this checkout instead of an image that has gpudock."""
    worker = docker28.run(
        *("run", "-d", "--name", "gpudock-worker", "--network", "none", "--label", "gpudock.owner=alice"),
        *(images.load(docker28, "busybox"), "/bin/sleep", "100"),
    ).stdout.strip()
    folders = [str(Path(each).resolve()) for each in sys.path if each.endswith(("site-packages", "/src"))]
    client = Path(str(shutil.which("docker", path=docker28.env["PATH"]))).resolve()
    # With the libraries that this docker brings; in /usr they are there already, and it would cover the driver's folder.
    bundle = [str(client.parents[1])] if client.parents[1] != Path("/usr") else []
    host = docker28.env["DOCKER_HOST"].removeprefix("unix://")
    ours = ("/sys/fs/cgroup", "/etc/passwd", "/etc/subuid", *bundle, *folders)
    python = os.path.realpath(f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}")
    mounts = [f"{host}:/var/run/docker.sock", f"{client}:/bin/docker:ro", f"{python}:/bin/python3:ro"]
    mounts += [
        "/usr/lib:/lib:ro",
        "/usr/lib:/usr/lib:ro",
        "/usr/lib64:/lib64:ro",
        *(f"{each}:{each}:ro" for each in ours),
    ]
    words = ["--pid=host", "--cgroupns=host", "--network=host", *(word for each in mounts for word in ("-v", each))]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    try:
        pid = docker28.run("inspect", "--format", "{{.State.Pid}}", worker).stdout.strip()
        described = json.loads(gpudock("simulate", "describe", "--gpus", "1").stdout)
        described["gpus"][0]["processes"] = [{"pid": int(pid), "name": "sleep", "used_memory": 1 << 20}]
        (gpudock.folder / "described.json").write_text(json.dumps(described))
        gpudock.simulate("--description", str(gpudock.folder / "described.json"))
        gpudock.refresh()
        gpudock(
            *("run", "--engine", "docker", "-d", "--name", "gpudock-serve", "--gpus", "all", *words),
            *("-e", f"PYTHONPATH={':'.join(folders)}", images.load(docker28, "busybox")),
            *("/bin/python3", "-m", "gpudock", "serve", "--listen", f"127.0.0.1:{port}"),
            env=docker28.env,
        )
        if own_namespace(Root("/proc")):  # where the tests run in a container, so does the engine
            assert until(lambda: _served(port, "problems"), docker28)["problems"] == [APART]
            return
        sample = until(lambda: _served(port, "containers"), docker28)
        (container,) = sample["containers"]
        assert (container["name"], container["id"], container["owner"]["name"]) == ("gpudock-worker", worker, "alice")
        assert container["gpus"] == [sample["gpus"][0]["uuid"]]
        assert sample["problems"] == []
        assert container["use"]["cpu_seconds"] >= 0
    finally:
        docker28.run("rm", "--force", "gpudock-serve", "gpudock-worker", check=False)


def _served(port: int, what: str) -> Any:
    """The sample, when it has such things."""
    with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/sample") as answer:
        sample = json.load(answer)
        return sample if any(each if what == "problems" else each["name"] for each in sample[what]) else None
    return None


def until(condition: Callable[[], Any], engine: Engine) -> Any:
    for _ in range(200):
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError(engine.run("logs", "gpudock-serve", check=False))


def test_a_container_without_the_machines_process_ids_is_known() -> None:
    """That it then says what it needs: tests/unit/monitor/test_attribute.py."""
    script = "from gpudock.host.root import Root; from gpudock.monitor import processes; print(processes.own_namespace(Root('/proc')))"
    apart = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", script]
    assert run(apart).stdout == "True\n"


def test_a_process_is_read_once_and_missed_when_it_has_ended() -> None:
    processes = Processes(Root("/proc"))
    first, second = subprocess.Popen(["sleep", "100"]), subprocess.Popen(["sleep", "100"])
    try:
        seen = processes.look({first.pid, second.pid})
        assert {each.name for each in seen.values()} == {"sleep"}
        assert abs(seen[first.pid].started - time.time()) < 60
        first.kill()
        first.wait()
        again = processes.look({first.pid, second.pid})
        assert again == {second.pid: seen[second.pid]}
        assert again[second.pid] is seen[second.pid]
    finally:
        for each in (first, second):
            each.kill()
            each.wait()
