"""The units, under a systemd that runs: a Debian that boots in a container, with simulated GPUs."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from real.harness import images
from real.harness.engines import Engine
from real.harness.product import Product

pytestmark = pytest.mark.real

REPOSITORY = Path(__file__).parents[2]
SPEC = "/var/run/cdi/gpudock.json"
PLUGIN = "from gpudock.cli.nvidia_docker_plugin import main; main()"
ASK = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())"
CAPABILITIES = "SYS_ADMIN,MKNOD,SYS_PTRACE,DAC_READ_SEARCH,NET_ADMIN"


class Booted:
    def __init__(self, podman: Engine, gpus: Path) -> None:
        self._podman, self._gpus = podman, gpus
        image = images.load(podman, "systemd")
        packages = next(path for path in sys.path if path.endswith("site-packages"))
        mounts = [f"--volume={path}:{path}:ro" for path in (str(REPOSITORY / "src"), packages, str(gpus))]
        self.name = podman.run(
            *("--runtime", "crun", "run", "--detach", "--systemd=always", "--network", "none"),
            *(f"--cap-add={CAPABILITIES}", "--security-opt=seccomp=unconfined", "--device-cgroup-rule=a *:* rwm"),
            *("--ulimit=nofile=4096:4096", "--ulimit=nproc=4096:4096"),  # else Podman raises them, where root may not
            *(*mounts, f"--env=PYTHONPATH={REPOSITORY}/src:{packages}", "--env=PYTHONDONTWRITEBYTECODE=1"),
            *(image, "/sbin/init"),
        ).stdout.strip()
        self.wait("systemctl", "is-system-running")
        self("chmod", "755", "/run")  # as every systemd machine has it, but Podman's

    def __call__(self, *words: str, check: bool = True) -> str:
        return self._podman.run("exec", self.name, *words, check=check).stdout

    def gpudock(self, *words: str) -> str:
        return self("python3", "-m", "gpudock", *words)

    def refresh(self, *words: str) -> str:
        return self.gpudock("refresh", "--simulated", str(self._gpus), *words)

    def plugin(self, *words: str) -> str:
        return self("python3", "-c", PLUGIN, *words)

    def wait(self, *words: str) -> None:
        """Until the command succeeds."""
        until = time.monotonic() + 60
        while self._podman.run("exec", self.name, *words, check=False).returncode:
            assert time.monotonic() < until, words
            time.sleep(0.2)

    def shown(self, unit: str, name: str) -> str:
        return self("systemctl", "show", unit, "--property", name, "--value").strip()


@pytest.fixture(scope="module")
def booted(podman: Engine, session_root: Path) -> Iterator[Booted]:
    product = Product(session_root / "systemd", session_root / "systemd-gpus")
    product.simulate()
    machine = Booted(podman, product.gpus)
    yield machine
    podman.run("rm", "--force", "--time", "0", machine.name)


def test_a_refresh_when_the_driver_changes(booted: Booted) -> None:
    said = booted.refresh("--install-units")
    assert "switched on gpudock-refresh.path and gpudock-refresh.service" in said
    assert "udev does not run here" in said
    # There is no driver in the kernel: systemd leaves the service out, and no unit has failed.
    assert booted.shown("gpudock-refresh.service", "ConditionResult") == "no"
    assert booted("systemctl", "--failed", "--quiet", "--no-legend", "--plain") == ""
    conditions = "/etc/systemd/system/gpudock-refresh.service.d"
    booted("sh", "-c", f"mkdir {conditions} && printf '[Unit]\\nConditionPathExists=\\n' >{conditions}/none.conf")
    booted("systemctl", "daemon-reload")
    booted("rm", SPEC)
    booted("touch", "/etc/ld.so.cache")
    booted.wait("test", "-e", SPEC)


def test_the_plugin_comes_back_and_goes_cleanly(booted: Booted) -> None:
    booted.plugin("--install-unit")
    assert booted.shown("nvidia-docker", "ActiveState") == "active"  # it has said that it is ready
    assert "Model:         NVIDIA H200" in booted("python3", "-c", ASK, "http://localhost:3476/gpu/info")
    booted("systemctl", "kill", "--signal=KILL", "nvidia-docker")
    booted.wait("python3", "-c", ASK, "http://localhost:3476/gpu/info")
    assert booted.shown("nvidia-docker", "NRestarts") == "1"
    booted("systemctl", "stop", "nvidia-docker")
    assert booted.shown("nvidia-docker", "Result") == "success"
    assert booted("ls", "/run/docker/plugins") == ""


def test_a_fixed_folder_follows(booted: Booted) -> None:
    booted.gpudock("volume", "create", "--static", "/usr/local/nvidia", "--install-units")
    booted("rm", "/usr/local/nvidia")
    booted("touch", SPEC)
    booted.wait("test", "-e", "/usr/local/nvidia/lib64")


def test_metrics_at_each_boot(booted: Booted) -> None:
    booted.gpudock("serve", "--install-units")
    booted.wait("python3", "-c", ASK, "http://localhost:9400/-/ready")
    assert "gpudock_collect_success 1" in booted("python3", "-c", ASK, "http://localhost:9400/metrics")


def test_systemd_finds_nothing_wrong_and_all_go(booted: Booted) -> None:
    units = booted("sh", "-c", "ls -d /etc/systemd/system/*.path /etc/systemd/system/*.service").split()
    assert len(units) == 6
    booted("systemd-analyze", "verify", *units)
    booted.gpudock("serve", "--remove-units")
    booted.plugin("--remove-unit")
    booted.gpudock("volume", "rm", "--remove-units")
    booted.gpudock("refresh", "--remove-units")
    assert (
        booted("systemctl", "list-units", "--no-legend", "--plain", "--type=service,path", "gpudock*", "nvidia-docker*")
        == ""
    )
    assert "Traceback" not in booted("journalctl", "--no-pager")
