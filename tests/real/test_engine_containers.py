"""What gpudock reads of containers is what the engines were asked for, on every engine."""

import os

import pytest

from gpudock import proc
from gpudock.engine import containers, endpoint
from gpudock.engine.base import Client
from gpudock.engine.docker import Docker
from gpudock.engine.podman import Podman
from real.harness import images
from real.harness.engines import Engine

pytestmark = pytest.mark.real


@pytest.fixture
def client(any_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Client:
    for name, value in any_engine.env.items():
        monkeypatch.setenv(name, value)
    if any_engine.name == "podman":
        return Podman("podman", endpoint.podman(any_engine.env))
    return Docker("docker", endpoint.Endpoint(any_engine.env["DOCKER_HOST"]), any_engine.env, os.uname().release)


def test_what_was_asked_for_is_read_back(any_engine: Engine, client: Client) -> None:
    reference = images.load(any_engine, "busybox")
    flags = ("--name", "gpudock-read-back", "--label", "gpudock.env=demo", "-e", "GREETING=a=b", "--cpus", "1.5")
    limits = ("--memory", "64m", "--memory-swap", "96m", "--cpuset-cpus", "0", "--shm-size", "8m", "--pids-limit", "50")
    volume = ("-v", f"{any_engine.folder}:/data:ro", "--device", "/dev/zero")
    any_engine.run("run", "-d", *flags, *limits, *volume, reference, "/bin/sleep", "100")
    try:
        (found,) = containers.listed(client, proc.run, filters=("label=gpudock.env=demo",))
        assert found.name == "gpudock-read-back"
        assert found.running
        assert len(found.id) == 64
        with open(f"/proc/{found.pid}/cmdline", "rb") as file:
            assert file.read() == b"/bin/sleep\x00100\x00"
        assert found.labels["gpudock.env"] == "demo"
        assert found.environment["GREETING"] == "a=b"
        assert "busybox" in found.image
        assert found.limits == containers.Limits(64 << 20, 96 << 20, 1.5, "0", 8 << 20, 50)
        assert ("/dev/zero" in found.devices, found.gpu_request, found.privileged) == (True, False, False)
        assert [(each.source, each.target, each.writable) for each in found.mounts if each.kind == "bind"] == [
            (str(any_engine.folder), "/data", False)
        ]
        any_engine.run("kill", found.name)
        any_engine.run("wait", found.name)
        assert containers.listed(client, proc.run) == ()
        (stopped,) = containers.inspected(client, [found.id[:12], "not-there"], proc.run)
        assert (stopped.state, stopped.running, stopped.pid, stopped.exit_code) == ("exited", False, 0, 137)
    finally:
        any_engine.run("rm", "--force", "gpudock-read-back", check=False)


def test_no_container_is_no_error(client: Client) -> None:
    assert not containers.listed(client, proc.run, stopped=True, filters=("label=gpudock.env=nobody",))
    assert not containers.inspected(client, ["gpudock-nobody"], proc.run)
