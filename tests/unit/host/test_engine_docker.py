"""Docker's answers, recorded from real daemons (20.10.24, 28.5.2), and its daemon.json in all its places."""

import json
from pathlib import Path
from typing import Any

import pytest

from gpudock.facts.base import Missing
from gpudock.facts.engine import Engine
from gpudock.host import engine_docker
from gpudock.host.root import Root
from gpudock.host.surroundings import Surroundings
from gpudock.proc import TIMED_OUT, Result
from unit.recorded import Recorder, fill

DATA = Path(__file__).parents[2] / "data/engines"
DENIED = (
    "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: "
    'Get "http://%2Fvar%2Frun%2Fdocker.sock/v1.50/info": dial unix /var/run/docker.sock: connect: permission denied'
)
STOPPED = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
# What docker 28's client prints on standard output when there is no daemon: everything empty, and exit code 1.
EMPTY = '{"ID":"","Runtimes":null,"DefaultRuntime":"","ServerVersion":"","SecurityOptions":null,"CDISpecDirs":null,"ClientInfo":{"Context":"default"}}'


def info(version: str, **changes: Any) -> str:
    return json.dumps({**json.loads((DATA / f"docker-{version}.json").read_text()), **changes})


def read(folder: Path, run: Recorder, program: str = "/usr/bin/docker", **environment: str) -> Engine:
    root = fill(folder, {})
    proc = Root(root.folder + "/proc")
    engine = engine_docker.read(run, Surroundings(root, proc, environment, rootless=False), program)
    assert engine is not None
    return engine


def test_20_10_knows_no_cdi(tmp_path: Path) -> None:
    assert read(tmp_path, Recorder({("docker", "info"): info("20.10.24")})) == Engine(
        name="docker",
        program="/usr/bin/docker",
        version="20.10.24+dfsg1",
        rootless=False,
        cdi=False,
        runtimes=("io.containerd.runc.v2", "io.containerd.runtime.v1.linux", "runc"),
        default_runtime="runc",
        cgroup_driver="cgroupfs",
        config_path="/etc/docker/daemon.json",
        data_root="/var/lib/docker",
        storage_driver="overlay2",
        containers="linux",
        kernel="6.18.44",
        oci="1.1.5+ds1-1+deb12u1",
    )


def test_28_applies_cdi_unless_it_is_switched_off(tmp_path: Path) -> None:
    engine = read(tmp_path, Recorder({("docker", "info"): info("28.5.2")}))
    assert (engine.version, engine.cdi, engine.cdi_folders) == ("28.5.2+dfsg4", True, ("/etc/cdi", "/var/run/cdi"))
    assert engine.problem is None
    off = read(tmp_path, Recorder({("docker", "info"): info("28.5.2", CDISpecDirs=[])}))
    assert (off.cdi, off.cdi_folders) == (False, ())


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (Result(1, EMPTY, STOPPED + "\n"), STOPPED),
        (Result(0, json.dumps({"ServerErrors": [STOPPED], "ClientInfo": {"Context": "default"}}), ""), STOPPED),
        (Result(1, EMPTY, f"WARNING: Error loading config file: /root/.docker/config.json\n{DENIED}\n"), DENIED),
        (Result(TIMED_OUT, "", "docker: stopped after 5 s"), "docker info gave no answer within 5 s"),
        (Result(1, "", ""), "docker info failed with exit code 1"),
        (Result(0, "not JSON\x1b[2J", ""), "docker info failed with exit code 0"),
        (Result(0, "[" * 100_000, ""), "docker info failed with exit code 0"),
    ],
)
def test_an_unusable_docker_is_a_fact(tmp_path: Path, answer: Result, problem: str) -> None:
    engine = read(tmp_path, Recorder({("docker", "info"): answer}))
    assert engine.problem == problem
    assert engine.version == engine.cdi == engine.rootless == Missing("docker does not answer")


def test_podmans_emulation_is_no_docker(tmp_path: Path) -> None:
    run = Recorder({("docker", "info"): (DATA / "podman-4.3.1.json").read_text()})
    around = Surroundings(fill(tmp_path, {}), Root("/proc"), {}, rootless=False)
    assert engine_docker.read(run, around, "/usr/bin/docker") is None


@pytest.mark.parametrize(
    ("host", "remote"),
    [
        ("ssh://me@gpu-server", True),
        ("tcp://10.0.0.7:2376", True),
        ("tcp://127.0.0.1:2375", False),
        ("tcp://[::1]:2375", False),
        ("unix:///run/user/1000/docker.sock", False),
        ("tcp://[broken", False),
    ],
)
def test_docker_host(tmp_path: Path, host: str, remote: bool) -> None:
    engine = read(tmp_path, Recorder({("docker", "info"): info("28.5.2")}), DOCKER_HOST=host)
    assert engine.remote is remote
    assert (engine.config_path is None) is remote


def test_a_context_on_another_machine(tmp_path: Path) -> None:
    run = Recorder(
        {
            ("docker", "info"): info("28.5.2", ClientInfo={"Context": "lab"}),
            ("docker", "context", "inspect", "lab"): "ssh://me@lab\n",
        }
    )
    engine = read(tmp_path, run)
    assert (engine.context, engine.remote) == ("lab", True)


def test_docker_desktop_is_a_machine_of_its_own(tmp_path: Path) -> None:
    answer = info("28.5.2", OperatingSystem="Docker Desktop", ClientInfo={"Context": "desktop-linux"})
    run = Recorder({("docker", "info"): answer, ("docker", "context"): "unix:///home/u/.docker/desktop/docker.sock\n"})
    engine = read(tmp_path, run)
    assert (engine.context, engine.remote) == ("desktop-linux", True)


def test_rootless_docker_has_its_own_configuration(tmp_path: Path) -> None:
    options = ["name=seccomp,profile=builtin", "name=rootless", "name=cgroupns"]
    run = Recorder({("docker", "info"): info("28.5.2", SecurityOptions=options)})
    engine = read(tmp_path, run, HOME="/home/u")
    assert (engine.rootless, engine.config_path) == (True, "/home/u/.config/docker/daemon.json")
    assert read(tmp_path, run, XDG_CONFIG_HOME="/x").config_path == "/x/docker/daemon.json"


def test_snap_docker_reads_another_file(tmp_path: Path) -> None:
    run = Recorder({("docker", "info"): info("28.5.2")})
    assert read(tmp_path, run, "/snap/bin/docker").config_path == engine_docker.SNAP_JSON


@pytest.mark.parametrize("flag", ["--config-file\0/opt/d.json", "--config-file=/opt/d.json"])
def test_the_file_that_the_running_daemon_was_given(tmp_path: Path, flag: str) -> None:
    fill(tmp_path, {"/run/docker.pid": "77\n", "/proc/77/cmdline": f"/usr/bin/dockerd\0-H\0fd://\0{flag}\0"})
    fill(tmp_path, {"/opt/d.json": '{"runtimes": '})
    engine = read(tmp_path, Recorder({("docker", "info"): info("28.5.2")}))
    assert engine.config_path == "/opt/d.json"
    assert engine.config_error == "Input data was truncated"


def test_a_pid_that_somebody_else_has_now(tmp_path: Path) -> None:
    fill(tmp_path, {"/run/docker.pid": "77\n", "/proc/77/cmdline": "/bin/sh\0--config-file\0/evil\0"})
    assert read(tmp_path, Recorder({("docker", "info"): info("28.5.2")})).config_path == "/etc/docker/daemon.json"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('{"runtimes": {}}', None),
        ('{"runtimes": {},}', "JSON is malformed: trailing comma in object (byte 16)"),
        ("[]", "Expected `object`, got `array`"),
        ("", "it is empty: docker wants at least {}"),
        ("{" * 50_000, "JSON is malformed: object keys must be strings (byte 1)"),
    ],
)
def test_errors_in_daemon_json(tmp_path: Path, text: str, error: str | None) -> None:
    fill(tmp_path, {"/etc/docker/daemon.json": text})
    assert read(tmp_path, Recorder({("docker", "info"): info("28.5.2")})).config_error == error
