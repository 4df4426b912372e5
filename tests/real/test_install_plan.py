"""The install plan for Debian 12, with the distribution's Docker, carried out in a fresh Debian 12: killed at every step
with everything that runs there, as a power cut would, continued, repeated, and taken back.
"""

import json
import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpudock.provision.install import driver, target
from gpudock.provision.install.wish import Wish
from real.harness import fresh_debian
from real.harness.fresh_debian import Machine

pytestmark = [pytest.mark.real, pytest.mark.debian]

WORDS = ("install", "--docker", "distribution", "--driver", "none", "--yes")
STATE = "/var/lib/gpudock/install"
STEPS = ("docker_packages", "docker_service", "runtime", "verify")
PATIENCE = 120.0
MOMENTS = (
    f"[ -e {STATE}/begun/docker_packages ]",
    f"[ -e {STATE}/docker_packages.before ] && grep -qs Unpacking {STATE}/said",
    "dpkg-query -W -f '${db:Status-Status}' containerd 2>/dev/null | grep -qx installed",
    f"[ -e {STATE}/begun/docker_service ]",
    f"[ -e {STATE}/begun/runtime ]",
    f"[ -e {STATE}/begun/verify ]",
)


@pytest.fixture
def fresh(session_root: Path) -> Iterator[Machine]:
    with fresh_debian.started(session_root / "fresh") as machine:
        yield machine


def begun(machine: Machine) -> "subprocess.Popen[bytes]":
    argv = machine.argv("/usr/bin/python3", "-m", "gpudock", *WORDS)
    return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def power_cut(machine: Machine, running: "subprocess.Popen[bytes]") -> None:
    """Everything in there dies at once, but its init; of /run nothing is left, as after a boot."""
    machine.run("sh", "-c", "kill -9 -1", check=False)
    running.wait(30)
    machine.run(
        "sh", "-c", "umount -a -l -O no_such_option /run/docker/netns/* 2>/dev/null; rm -rf /run/*", check=False
    )


def until(condition: str, machine: Machine, running: "subprocess.Popen[bytes]") -> None:
    """Waits for a condition of the shell, seen in that root. It must come before the installation ends."""
    script = f"until {condition}; do sleep 0.02; done"
    with subprocess.Popen(machine.argv("timeout", str(PATIENCE), "sh", "-c", script)) as waiting:
        while waiting.poll() is None and running.poll() is None:
            time.sleep(0.02)
        seen = waiting.poll() == 0
        waiting.kill()
    if not seen:
        running.kill()
        running.wait()
    assert seen, f"the installation ended before: {condition}"


def cut_at(machine: Machine, *moments: str) -> None:
    for moment in moments:
        running = begun(machine)
        until(moment, machine, running)
        power_cut(machine, running)


def state(machine: Machine) -> dict[str, list[str]]:
    script = f"cd {STATE} && for each in begun finished; do echo $each: $(ls $each); done"
    lines = machine.run("sh", "-c", script).stdout.splitlines()
    return {name: rest.split() for name, _, rest in (line.partition(":") for line in lines)}


def installed(machine: Machine) -> None:
    """What the plan is for: the runtime is known, and a container starts through it."""
    info = json.loads(machine.run("docker", "info", "--format", "{{json .Runtimes}}").stdout)
    assert info["gpudock"]["path"] == "/usr/libexec/gpudock/current/gpudock-runtime"
    config = json.loads(machine.run("cat", "/etc/docker/daemon.json").stdout)
    assert config.pop("runtimes") == {"gpudock": {"path": "/usr/libexec/gpudock/current/gpudock-runtime"}}
    assert config == json.loads(fresh_debian.DAEMON_JSON)
    assert state(machine)["finished"] == [*STEPS]
    assert machine.run("docker", "images", "--quiet").stdout == ""  # nothing of the proof is left


SHOW_SOURCES = "cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null || true"
MOVE = """
from gpudock.cli.main import main
from gpudock.engine.configure import data_root
data_root.BAD_FILE_SYSTEMS = ()  # this root is a tmpfs, where nobody else should keep docker's data
main(["configure", "docker", "--data-root", "/srv/docker", "--restart"])
"""


def root_and_images(machine: Machine) -> tuple[str, int]:
    where = machine.run("docker", "info", "--format", "{{.DockerRootDir}}").stdout.strip()
    return where, len(machine.run("docker", "images", "--quiet").stdout.splitlines())


def data_are_moved(machine: Machine) -> None:
    """Docker's settings on a docker with a service: stopped, copied, started on the copy, and brought back."""
    machine.run("sh", "-c", "tar -C / -c bin/true | docker import - kept:1")
    machine.run("/usr/bin/python3", "-c", MOVE)
    assert root_and_images(machine) == ("/srv/docker", 1)
    machine.gpudock("configure", "docker", "--undo", "--restart")
    assert root_and_images(machine) == ("/var/lib/docker", 1)
    users_are_remapped(machine)
    machine.run("docker", "rmi", "kept:1")
    machine.gpudock("configure", "docker", "--restart")


def users_are_remapped(machine: Machine) -> None:
    """Docker makes its user and its ids; what was there before is not seen, and seen again after the undo."""
    said = machine.gpudock("configure", "docker", "--userns-remap", "default", "--restart")
    assert "images and containers of the time before are not seen any more" in said.stdout + said.stderr
    options = machine.run("docker", "info", "--format", "{{.SecurityOptions}}").stdout
    assert "name=userns" in options
    (start,) = (line.split(":")[1] for line in machine.run("grep", "^dockremap:", "/etc/subuid").stdout.splitlines())
    where, images = root_and_images(machine)
    assert (where, images) == (f"/var/lib/docker/{start}.{start}", 0)
    machine.gpudock("configure", "docker", "--undo", "--restart")
    assert root_and_images(machine) == ("/var/lib/docker", 1)


SCRIPT = "/root/install.sh"
OLD_SOURCE = "/etc/apt/sources.list.d/nvidia-docker.list"
OLD_KEPT = "# deb http://deb.example/debian stable main\n"
OLD = f"deb [trusted=yes] https://nvidia.github.io/nvidia-docker/debian12/amd64 /\n{OLD_KEPT}"
OLD_PACKAGES = """
for name in nvidia-docker2 nvidia-container-runtime; do
    mkdir -p /tmp/$name/DEBIAN
    printf 'Package: %s\\nVersion: 2.13.0-1\\nArchitecture: all\\nMaintainer: nobody <n@example>\\nDescription: old\\n' $name \\
        >/tmp/$name/DEBIAN/control
    dpkg-deb --build /tmp/$name >/dev/null
    dpkg --install /tmp/$name.deb >/dev/null
done
"""
OLD_PLUGIN = """
import json, os, socketserver
from http.server import BaseHTTPRequestHandler
VOLUME = {"Name": "nvidia_driver_367.57", "Mountpoint": "/srv"}
class Handler(BaseHTTPRequestHandler):
    address_string = lambda self: ""
    def do_POST(self):
        verb = self.path.partition(".")[2]
        said = {"Activate": {"Implements": ["VolumeDriver"]}, "Get": {"Volume": VOLUME}, "List": {"Volumes": [VOLUME]}}
        body = json.dumps(said.get(verb, {"Mountpoint": "/srv", "Err": ""})).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
os.makedirs("/run/docker/plugins", exist_ok=True)
socketserver.UnixStreamServer("/run/docker/plugins/nvidia-docker.sock", Handler).serve_forever()
"""


def given(machine: Machine, path: str, content: str) -> None:
    subprocess.run(machine.argv("sh", "-c", f"cat >{path}; chmod 755 {path}"), input=content, text=True, check=True)


def the_emitted_script_does_what_is_left(machine: Machine) -> None:
    """As another machine gets it, run without gpudock's help: it takes away what an older installation left, while
    somebody else holds dpkg's lock for a moment, and proves itself that a container starts.
    """
    machine.run("sh", "-c", OLD_PACKAGES)
    given(machine, OLD_SOURCE, OLD)
    words = ("--os", "debian-12", "--driver", "none", "--emit", "sh", "--gpudock", "/root/gpudock.whl")
    given(machine, SCRIPT, machine.gpudock("install", *words).stdout)
    given(machine, "/usr/local/bin/gpudock", '#!/bin/sh\nexec /usr/bin/python3 -m gpudock "$@"\n')
    refused = machine.run(SCRIPT, check=False)
    assert refused.returncode == 1
    assert (
        "in the way: nvidia-docker2 nvidia-container-runtime - to have them removed: REMOVE_OLD=yes" in refused.stderr
    )
    holds = (
        "import fcntl, time; f = open('/var/lib/dpkg/lock-frontend', 'w'); fcntl.lockf(f, fcntl.LOCK_EX); time.sleep(3)"
    )
    holder = subprocess.Popen(machine.argv("/usr/bin/python3", "-c", holds))
    done = machine.run("env", "REMOVE_OLD=yes", SCRIPT)
    assert holder.wait() == 0
    assert done.stderr.endswith("all done\n")
    assert "a container started through the runtime" in done.stderr
    assert machine.run("cat", OLD_SOURCE).stdout == OLD_KEPT
    checked = machine.run(SCRIPT, "check").stderr
    assert [line[:5] for line in checked.splitlines()] == ["done "] * 9 + ["to do"]  # all but the proof
    old_containers_are_kept(machine)


def old_containers_are_kept(machine: Machine) -> None:
    """A container on a volume of nvidia-docker 1: listed, kept as an image, and removed, each only when asked for."""
    plugin = subprocess.Popen(machine.argv("/usr/bin/python3", "-c", OLD_PLUGIN), stderr=subprocess.DEVNULL)
    try:
        machine.run("sh", "-c", "until [ -S /run/docker/plugins/nvidia-docker.sock ]; do sleep 0.05; done")
        machine.run("sh", "-c", "tar -C / -c bin/true | docker import - kept:1")
        volume = ("--volume-driver", "nvidia-docker", "--volume", "nvidia_driver_367.57:/usr/local/nvidia:ro")
        machine.run("docker", "create", "--name", "Train", *volume, "kept:1", "/bin/true")
        found = json.loads(machine.gpudock("doctor", "--json", check=False).stdout)["findings"]
        (left,) = (each["evidence"] for each in found if each["id"] == "nvidia-docker-1")
        assert left == ["volume nvidia_driver_367.57 (docker)", "container Train (docker) uses nvidia_driver_367.57"]
        step = (SCRIPT, "step", "old_containers")
        refused = machine.run(*step, check=False)
        assert refused.returncode == 1
        assert "on volumes of nvidia-docker 1: Train" in refused.stderr
        assert "COMMIT_OLD=yes (--commit-old)" in refused.stderr
        machine.run("env", "COMMIT_OLD=yes", "REMOVE_CONTAINERS=yes", *step)
        assert machine.run("docker", "ps", "--all", "--quiet").stdout == ""
        machine.run("docker", "rmi", "gpudock-kept/train", "kept:1")
        machine.run("docker", "volume", "rm", "nvidia_driver_367.57")
    finally:
        plugin.kill()
        plugin.wait()


def test_killed_continued_repeated_and_taken_back(fresh: Machine) -> None:
    before = fresh.packages()
    cut_at(fresh, MOMENTS[1], MOMENTS[4])
    done = fresh.gpudock(*WORDS)
    assert "all done" in done.stderr
    installed(fresh)

    data_are_moved(fresh)
    noted, packages = state(fresh), fresh.packages()
    pid = fresh.run("cat", "/run/docker.pid").stdout
    again = fresh.gpudock(*WORDS)
    assert again.stderr.count("\ndone  ") + again.stderr.startswith("done  ") == len(STEPS)  # all but the proof
    assert (state(fresh), fresh.packages(), fresh.run("cat", "/run/docker.pid").stdout) == (noted, packages, pid)

    the_emitted_script_does_what_is_left(fresh)
    asked = fresh.gpudock("uninstall", check=False)
    assert asked.returncode == 2
    assert "add --yes" in asked.stderr
    undone = fresh.gpudock("uninstall", "--yes").stderr
    assert "apt-get install nvidia-container-runtime=2.13.0-1 nvidia-docker2=2.13.0-1" in undone
    assert fresh.run("cat", OLD_SOURCE).stdout == OLD
    assert fresh.packages() == before
    assert fresh.run("cat", "/etc/docker/daemon.json").stdout == fresh_debian.DAEMON_JSON
    left = fresh.run("sh", "-c", "ls -d /var/lib/gpudock/* /usr/libexec/gpudock /opt/gpudock /run/gpudock", check=False)
    assert left.stdout == ""


@pytest.mark.soak
def test_killed_at_every_step(fresh: Machine) -> None:
    cut_at(fresh, *MOMENTS)
    fresh.gpudock(*WORDS)
    installed(fresh)


@pytest.mark.soak
def test_killed_at_any_moment(fresh: Machine) -> None:
    """Twenty power cuts at random moments, the last four while it is taken back."""
    before = fresh.packages()
    random.seed(20)
    for _ in range(16):
        running = begun(fresh)
        time.sleep(random.uniform(0.2, 9.0))
        power_cut(fresh, running)
    fresh.gpudock(*WORDS)
    installed(fresh)
    for _ in range(4):
        argv = fresh.argv("/usr/bin/python3", "-m", "gpudock", "uninstall", "--yes")
        running = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(random.uniform(0.2, 3.0))
        power_cut(fresh, running)
        if fresh.run("test", "-e", f"{STATE}/plan.sh", check=False).returncode:
            break
    else:
        fresh.gpudock("uninstall", "--yes")
    assert fresh.packages() == before


FETCH = """
set -e
mkdir -p /srv/debs/partial
apt-get --quiet update >/dev/null
apt-get --quiet --yes -o Dir::Cache::archives=/srv/debs install --download-only --no-install-recommends \\
    docker.io ca-certificates procps >/dev/null
rm -rf /srv/debs/partial /srv/debs/lock
cd /srv/debs
sha256sum *.deb >SHA256SUMS
echo 'Acquire::http::Proxy "http://127.0.0.1:9";' >/etc/apt/apt.conf.d/99no-access
"""


@pytest.mark.soak
def test_docker_from_files_without_any_access(fresh: Machine) -> None:
    """The files were fetched elsewhere; a file that was changed on the way is not installed."""
    fresh.run("sh", "-c", FETCH)
    before = fresh.packages()
    words = ("install", "--docker", "debs", "--debs", "/srv/debs", "--driver", "none", "--yes")
    fresh.run("sh", "-c", "cp /srv/debs/procps*.deb /root/kept; echo >>$(ls /srv/debs/procps*.deb)")
    refused = fresh.gpudock(*words, check=False)
    assert refused.returncode == 4
    assert "FAILED" in refused.stdout + refused.stderr
    assert fresh.packages() == before
    fresh.run("sh", "-c", "cp /root/kept $(ls /srv/debs/procps*.deb)")
    fresh.gpudock(*words)
    installed(fresh)
    fresh.gpudock("uninstall", "--yes")
    assert fresh.packages() == before


def test_what_needs_a_gpu_as_far_as_it_goes_without_one(fresh: Machine) -> None:
    """Debian's sources are added for real; the driver's packages are only resolved: their module needs the kernel's
    headers. It is not loaded then, so a reboot is asked for. The proxy's files are written, and taken away.
    """
    proxy = ("--proxy", "http://user:secret@proxy.example:3128", "--no-proxy", "localhost")
    words = ("install", "--os", "debian-12", "--driver", "distribution", *proxy, "--emit", "sh", "--gpudock", "/root/g")
    device = "/gpu/bus/pci/devices/0000:00:05.0"
    given(fresh, SCRIPT, fresh.gpudock(*words).stdout)
    fresh.run("umount", "/var/lib/apt/lists")  # apt has never been asked for anything here
    fresh.run("sh", "-c", f"mkdir -p {device}; echo 0x10de >{device}/vendor; echo 0x030200 >{device}/class")
    install = ("env", "GPUDOCK_SYS=/gpu", "sh", SCRIPT)

    fresh.run(*install, "step", "proxies")
    files = ("/etc/apt/apt.conf.d/80gpudock-proxy", "/etc/sudoers.d/gpudock-proxy", "/etc/default/docker")
    assert fresh.run("stat", "-c", "%a", *files).stdout.split() == ["600", "440", "600"]
    shown = fresh.run("apt-config", "dump", "Acquire::https::Proxy").stdout
    assert shown == 'Acquire::https::Proxy "http://user:secret@proxy.example:3128";\n'
    said = fresh.run("sh", "-c", ". /etc/default/docker; echo $HTTPS_PROXY $NO_PROXY").stdout
    assert said == "http://user:secret@proxy.example:3128 localhost\n"
    fresh.run(*install, "undo", "proxies")
    assert fresh.run("ls", *files, check=False).stdout == "/etc/default/docker\n"

    fresh.run("sed", "-i", "/^export .*_proxy=/d", SCRIPT)  # that proxy is none
    sources = fresh.run("sh", "-c", SHOW_SOURCES).stdout
    fresh.run(*install, "step", "driver_source")
    packages = driver.Choice(Wish(driver="distribution"), target.named("debian-12")).packages
    resolved = fresh.run("apt-get", "--simulate", "install", "--no-install-recommends", *packages).stdout
    assert {line.split()[1] for line in resolved.splitlines() if line.startswith("Inst ")} >= {*packages}
    asked = fresh.run(*install, "step", "driver_loaded", check=False)
    assert asked.returncode == 75
    assert "reboot now, then run this again" in asked.stderr
    fresh.run(*install, "undo")
    assert fresh.run("sh", "-c", SHOW_SOURCES).stdout == sources
