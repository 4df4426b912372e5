"""Which docker daemon it is, whose, and what file it reads."""

import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpudock.engine import endpoint
from gpudock.engine.configure import dockerd
from gpudock.engine.docker import Docker
from gpudock.errors import RefusedError, UsageError
from gpudock.host.root import Root
from gpudock.proc import Result
from unit.recorded import Recorder, fill

INFO = {
    "ServerVersion": "28.5.2",
    "Runtimes": {"runc": {"path": "runc"}},
    "DefaultRuntime": "runc",
    "KernelVersion": "6.1",
}
STAT = f"{os.getpid()} (docker d) S " + "0 " * 18 + "12345 0\n"


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[str]:
    """A socket that this very process listens at."""
    with socket.socket(socket.AF_UNIX) as found:
        found.bind(f"{tmp_path}/docker.sock")
        found.listen(8)
        yield f"{tmp_path}/docker.sock"


def find(
    folder: Path, address: str, arguments: list[str], *, wanted: str | None = None, uid: int | None = None
) -> dockerd.Daemon:
    pid = os.getpid()
    files = {"cmdline": "\0".join(arguments) + "\0", "environ": "PATH=/a:/b\0X=1\0", "stat": STAT, "cgroup": "0::/\n"}
    processes = fill(
        folder / "proc", {f"/{pid}/{name}": text for name, text in files.items()} | {"/uptime": "5000.25 1.0\n"}
    )
    client = Docker("/usr/bin/docker", endpoint.Endpoint(address), {}, "6.1")
    place = dockerd.Place(Root("/"), processes, os.geteuid() if uid is None else uid, "/home/a/.config")
    return dockerd.find(client, Recorder({("docker", "info"): json.dumps(INFO)}), place, wanted)


def test_the_process_behind_the_socket_tells_its_file_and_path(tmp_path: Path, listener: str) -> None:
    found = find(tmp_path, f"unix://{listener}", ["/usr/bin/dockerd", "--config-file=/srv/d.json", "-D"])
    assert (found.config, found.explicit, found.major) == ("/srv/d.json", True, 28)
    assert found.process is not None
    assert (found.process.pid, found.process.path) == (os.getpid(), "/a:/b")
    started = time.time() - 5000.25 + 12345 / os.sysconf("SC_CLK_TCK")
    assert found.process.started == pytest.approx(started, abs=5)
    assert [flag.name for flag in found.flags] == ["config-file", "D"]


def test_systemds_socket_is_not_taken_for_docker(tmp_path: Path, listener: str) -> None:
    assert find(tmp_path, f"unix://{listener}", ["/sbin/init"]).process is None


def test_without_a_flag_it_is_the_usual_file(tmp_path: Path, listener: str) -> None:
    usual = find(tmp_path, f"unix://{listener}", ["dockerd"], uid=os.geteuid()).config
    assert usual == ("/etc/docker/daemon.json" if os.geteuid() == 0 else "/home/a/.config/docker/daemon.json")
    place = dockerd.Place(Root("/nowhere"), Root("/nowhere"), 1000, "/home/a/.config")
    client = Docker("/usr/bin/docker", endpoint.Endpoint("unix:///nowhere.sock"), {}, "6.1")
    down = Recorder({("docker", "info"): Result(1, '{"ServerErrors": ["is it running?"]}', "")})
    found = dockerd.find(client, down, place, None)
    assert (found.config, found.running, found.rootless) == ("/home/a/.config/docker/daemon.json", False, True)
    snap = dockerd.find(client._replace(program="/snap/bin/docker"), down, place._replace(uid=0), None)
    assert snap.config == "/var/snap/docker/current/config/daemon.json"


def test_a_file_that_it_does_not_read_is_refused(tmp_path: Path, listener: str) -> None:
    with pytest.raises(UsageError) as told:
        find(
            tmp_path,
            f"unix://{listener}",
            ["dockerd", "--config-file", "/srv/d.json"],
            wanted="/etc/docker/daemon.json",
        )
    assert "--config-file /srv/d.json" in told.value.why


def test_somebody_elses_docker_is_left_to_them(tmp_path: Path, listener: str) -> None:
    with pytest.raises(RefusedError, match="belongs to"):
        find(tmp_path, f"unix://{listener}", ["dockerd"], uid=os.geteuid() + 1)


@pytest.mark.parametrize("address", ["ssh://gpu.example", "tcp://10.0.0.1:2376"])
def test_a_docker_elsewhere_is_configured_there(tmp_path: Path, address: str) -> None:
    with pytest.raises(RefusedError) as told:
        find(tmp_path, address, ["dockerd"])
    assert told.value.mend.startswith("run gpudock there")
