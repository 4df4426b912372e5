"""The program `nvidia-docker` on real engines (mode 2), and its mode 1 with a real plugin, HTTP and OpenSSH."""

import contextlib
import os
import pty
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from real.harness import images, leftovers, openssh, runtimes
from real.harness.commands import run
from real.harness.engines import Engine
from real.harness.product import Product, product

pytestmark = pytest.mark.real

DATA = Path(__file__).parents[1] / "data/nvidia-docker"
LOADED = re.compile(r"^(\S+) ok ", re.MULTILINE)
DRIVER = "580.159.04"
CUDA_PATH = {"LD_LIBRARY_PATH": "/usr/local/nvidia/lib:/usr/local/nvidia/lib64"}  # as CUDA images set it for mode 1
LIBRARIES = ["libcuda.so.1", "libnvidia-ml.so.1"]
OWN = ("NV_HOST", "NV_GPU", "NV_DOCKER", "GPUDOCK_NVIDIA_DOCKER", "DOCKER_HOST", "DOCKER_CONTEXT")
# Answers as docker does for a labelled image, shows what it is to run, and ends with 7.
DOCKER = """#!/bin/sh
case "$*" in
version*) echo 20.10.24 ;;
"inspect --type=image absent") exit 1 ;;
"inspect --type=image"*) ;;
pull*) echo pulling ;;
"inspect --format="*volumes*) echo nvidia_driver ;;
"inspect --format="*cuda*) echo 8.0 ;;
*) printf '%s\\n' "$@"; exit 7 ;;
esac
"""


def nvidia_docker(
    *words: str, env: Mapping[str, str], check: bool = True, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    return run([sys.executable, "-m", "gpudock.cli.nvidia_docker", *words], env=env, check=check, timeout=timeout)


@pytest.fixture(scope="module")
def gpudock(session_root: Path) -> Iterator[Product]:
    with product(session_root) as made:
        yield made


@pytest.fixture(scope="module")
def with_runtime(gpudock: Product, session_root: Path) -> Iterator[Engine]:
    """Docker 20.10, which has no CDI, with the runtime `gpudock`."""
    with runtimes.docker(20, gpudock, session_root / "docker20-nvidia-docker") as made:
        yield made.engine


@pytest.fixture(params=("docker20", "docker28"))
def docker(request: pytest.FixtureRequest) -> Engine:
    made: Engine = request.getfixturevalue("with_runtime" if request.param == "docker20" else request.param)
    return made


class Caller:
    """Somebody who uses this docker by nvidia-docker."""

    def __init__(self, engine: Engine, gpudock: Product) -> None:
        self.engine = engine
        self.env = {name: value for name, value in engine.env.items() if name not in OWN[:4]} | gpudock.env

    def __call__(self, *words: str, check: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
        return nvidia_docker(*words, env=self.env | env, check=check)


@pytest.fixture
def caller(docker: Engine, gpudock: Product) -> Caller:
    return Caller(docker, gpudock)


def gpus(listing: str) -> set[str]:
    return set(re.findall(r"\bnvidia\d+\b", listing))


def test_any_image_gets_all_gpus(caller: Caller) -> None:
    image = images.load(caller.engine, "tiny")
    done = caller("run", "--rm", "--network=none", image, "/bin/sh", "-c", runtimes.LOOK)
    assert LOADED.findall(done.stdout) == LIBRARIES
    assert gpus(done.stdout) == {"nvidia0", "nvidia1"}


@pytest.mark.parametrize(("value", "nodes"), [("0, 1", {"nvidia0", "nvidia1"}), ("1", {"nvidia1"})])
def test_nv_gpu(caller: Caller, value: str, nodes: set[str]) -> None:
    image = images.load(caller.engine, "tiny")
    words = ("container", "run", "--rm", "--network=none", image, "/bin/sh", "-c", runtimes.LOOK)
    done = caller(*words, NV_GPU=value)
    assert gpus(done.stdout) == nodes
    assert LOADED.findall(done.stdout) == LIBRARIES


def test_the_flag_and_the_runtime_of_old(caller: Caller) -> None:
    image = images.load(caller.engine, "tiny")
    words = ("run", "--rm", "--network=none", "--runtime=nvidia", "--gpus", "device=1", image, "/bin/ls", "/dev")
    assert gpus(caller(*words).stdout) == {"nvidia1"}


def test_the_image_may_want_none(caller: Caller) -> None:
    image = images.load(caller.engine, "tiny", env={"NVIDIA_VISIBLE_DEVICES": "void"})
    assert gpus(caller("run", "--rm", "--network=none", image, "/bin/ls", "/dev").stdout) == set()


def test_create_and_start(caller: Caller) -> None:
    image = images.load(caller.engine, "tiny")
    name = caller("create", "--network=none", image, "/bin/ls", "/dev", NV_GPU="0").stdout.strip()
    assert gpus(caller("start", "--attach", name).stdout) == {"nvidia0"}


def test_what_the_wrapper_hit_by_mistake(caller: Caller) -> None:
    image = images.load(caller.engine, "tiny")
    caller("volume", "create", "mine")
    caller("volume", "rm", "mine")
    caller("run", "-d", "--name", "asleep", "--network=none", image, "/bin/sleep", "60")
    try:
        done = caller("exec", "asleep", "/bin/echo", "run", "create")
        assert done.stdout == "run create\n"
    finally:
        caller("rm", "-f", "asleep")


def test_exit_code_and_global_options(caller: Caller) -> None:
    image = images.load(caller.engine, "tiny")
    host = caller.engine.env["DOCKER_HOST"]
    words = (f"-H{host}", "run", "--rm", "--network=none", image, "/bin/sh", "-c", "exit 7")
    assert caller(*words, check=False, DOCKER_HOST="unix:///no/such").returncode == 7


# As sudo: it asks at the terminal, once for all that runs in one session of it.
SUDO = """#!/bin/sh
read -r _ _ _ _ _ session _ </proc/$$/stat
if [ ! -e "$STAMP.$session" ]; then
    printf 'password for you: ' >/dev/tty && read -r word </dev/tty || exit 1
    echo asked >>"$STAMP"
    sleep 0.2
    [ "$word" = secret ] || exit 1
    : >"$STAMP.$session"
fi
exec "$@"
"""


@pytest.mark.parametrize("mode", ["1", "2"])
def test_nv_docker_may_ask_for_a_password(caller: Caller, tmp_path: Path, mode: str) -> None:
    image = images.load(caller.engine, "tiny")
    sudo = tmp_path / "sudo"
    sudo.write_text(SUDO)
    sudo.chmod(0o755)
    env = caller.env | {"STAMP": str(tmp_path / "stamp"), "GPUDOCK_NVIDIA_DOCKER": mode, "NV_DOCKER": f"{sudo} docker"}
    words = ("run", "--rm", "--network=none", image, "/bin/ls", "/dev")
    child, terminal = pty.fork()
    if child == 0:
        os.execve(sys.executable, [sys.executable, "-m", "gpudock.cli.nvidia_docker", *words], env)
    said = b""
    with (
        open(terminal, "r+b", buffering=0) as console,
        contextlib.suppress(OSError),
    ):  # EIO: nobody has it open any more
        while part := console.read(1 << 16):
            said += part
            if part.endswith(b"password for you: "):
                console.write(b"secret\n")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, said
    assert gpus(said.decode()) == (set() if mode == "1" else {"nvidia0", "nvidia1"})
    assert (tmp_path / "stamp").read_text() == "asked\n"  # once


def test_version(caller: Caller) -> None:
    own = caller.engine.run("version").stdout
    assert caller("version").stdout == "NVIDIA Docker: 2.13.0\n" + own
    assert caller("version", GPUDOCK_NVIDIA_DOCKER="1").stdout == "NVIDIA Docker: 1.0.1\n\n" + own


def test_mode_1_asks_this_docker_of_its_images(caller: Caller) -> None:
    """Labels, and words of docker 28 and 20 alike: the last ones lead to a plugin that is not there."""
    plain = images.load(caller.engine, "tiny")
    done = caller("run", "--rm", "--network=none", plain, "/bin/ls", "/dev", GPUDOCK_NVIDIA_DOCKER="1")
    assert gpus(done.stdout) == set()
    labels = {"com.nvidia.volumes.needed": "nvidia_driver", "com.nvidia.cuda.version": "99.0"}
    image = images.load(caller.engine, "tiny", labels=labels)
    failed = caller("run", image, check=False, GPUDOCK_NVIDIA_DOCKER="1")
    assert failed.returncode == 1
    assert re.search(r"nvidia_docker.py \| .* Error: unsupported CUDA version: driver 13.0 < image 99.0", failed.stderr)


# Mode 1 with this machine's own plugin.

PLUGINS = Path("/run/docker/plugins")  # where every Docker looks


class OwnProduct(Product):
    """With its specification, too, in the session's folder: no engine here reads one."""

    @property
    def env(self) -> dict[str, str]:
        return {**super().env, "GPUDOCK_CDI_DIR": str(self.folder / "cdi")}


@pytest.fixture
def own(session_root: Path) -> Iterator[Product]:
    folder = session_root / "mode-1"
    made = OwnProduct(folder / "gpudock", folder / "gpus")
    try:
        made.simulate()
        made.refresh()
        yield made
    finally:
        leftovers.clear(folder)


@pytest.fixture
def own_plugin(own: Product, tmp_path: Path) -> Iterator[int]:
    """nvidia-docker-plugin, known to every Docker here; the port of its REST interface."""
    assert not (PLUGINS / "nvidia-docker.sock").exists(), "this machine has an nvidia-docker-plugin"
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    code = "from gpudock.cli.nvidia_docker_plugin import main; main()"
    flags = ("-l", f"localhost:{port}", "-d", str(tmp_path / "volumes"))
    log = tmp_path / "plugin.log"
    with (
        log.open("wb") as output,
        subprocess.Popen([sys.executable, "-c", code, *flags], env=os.environ | own.env, stderr=output) as process,
    ):
        try:
            end = time.monotonic() + 20
            while "Serving remote API" not in log.read_text():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.05)
            yield port
        finally:
            process.terminate()
    for folder in (PLUGINS, PLUGINS.parent):
        with contextlib.suppress(OSError):  # others are in it, or it is gone
            folder.rmdir()


@pytest.mark.parametrize("made_before", [True, False])
def test_mode_1_runs_a_labelled_image_with_the_driver_volume(
    own_plugin: int, own: Product, docker20: Engine, made_before: bool
) -> None:
    """On a Docker without CDI and without our runtime: libcuda loads from the volume, on this machine and by NV_HOST."""
    caller = Caller(docker20, own)
    volume = f"nvidia_driver_{DRIVER}"
    labels = {"com.nvidia.volumes.needed": "nvidia_driver", "com.nvidia.cuda.version": "8.0"}
    image = images.load(docker20, "tiny", env=CUDA_PATH, labels=labels)
    if made_before:
        assert caller("volume", "create", "-d", "nvidia-docker", "--name", volume).stdout.strip() == volume
    words = ("run", "--rm", "--network=none", "-e", "A=1", "-p80:80", image, "/bin/sh", "-c")
    script = "/probe libcuda.so.1 libnvidia-ml.so.1 --nvml --cuda; ls /dev"
    try:
        for env, nodes in (
            ({}, {"nvidia0", "nvidia1"}),
            ({"NV_GPU": "1"}, {"nvidia1"}),
            ({"NV_HOST": f"localhost:{own_plugin}", "NV_GPU": "0"}, {"nvidia0"}),
        ):
            done = nvidia_docker(*words, script, env=caller.env | {"GPUDOCK_NVIDIA_DOCKER": "1"} | env)
            assert LOADED.findall(done.stdout) == LIBRARIES
            assert f"/usr/local/nvidia/lib64/libcuda.so.{DRIVER}" in done.stdout
            assert "cuda.init 0" in done.stdout
            assert gpus(done.stdout) == nodes
    finally:
        docker20.run("volume", "rm", volume)


# Mode 1 with a plugin elsewhere.


class Plugin(BaseHTTPRequestHandler):
    seen: list[str]

    def do_GET(self) -> None:
        self.seen.append(f"{self.headers['Host']} {self.path}")
        if self.path == "/docker/cli?vol=nvidia_driver&dev=9":
            return self._reply(400, b"invalid device: 9\n")
        name = "gpu_info_json.out" if self.path == "/gpu/info/json" else "docker_cli.out"
        return self._reply(200, (DATA / name).read_bytes())

    def _reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  as its parent has it
        pass


@contextlib.contextmanager
def plugin() -> Iterator[tuple[int, list[str]]]:
    """Serves what the plugin of nvidia-docker 1 served; the port, and the requests that come."""
    seen: list[str] = []
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Seeing", (Plugin,), {"seen": seen})) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port, seen
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def first(tmp_path: Path) -> dict[str, str]:
    """The environment of somebody with nvidia-docker 1 and a docker that only shows what it is told."""
    (tmp_path / "docker").write_text(DOCKER)
    (tmp_path / "docker").chmod(0o755)
    plain = {name: value for name, value in os.environ.items() if name not in OWN}
    return plain | {"GPUDOCK_NVIDIA_DOCKER": "1", "NV_DOCKER": str(tmp_path / "docker"), "DOCKER_HOST": "x"}


WORDS = (DATA / "docker_cli.out").read_text().split(" ")


@pytest.mark.usefixtures("session_root")
def test_http(first: dict[str, str]) -> None:
    with plugin() as (port, seen):
        done = nvidia_docker(
            "run", "-p80:80", "absent", "ls", env=first | {"NV_HOST": f"127.0.0.1:{port}"}, check=False
        )
        assert done.stdout.splitlines() == ["run", "-p80:80", *WORDS, "absent", "ls"]
        assert (done.returncode, done.stderr) == (7, "pulling\n")
        assert seen == ["plugin /gpu/info/json", "plugin /docker/cli?vol=nvidia_driver"]
        bad = first | {"NV_HOST": f"127.0.0.1:{port}", "NV_GPU": "9"}
        refused = nvidia_docker("run", "cuda", env=bad, check=False)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "Error: invalid device: 9\n" in refused.stderr
    gone = nvidia_docker("run", "cuda", env=bad, check=False)
    assert gone.returncode == 1
    assert "Error: the plugin of 127.0.0.1 does not answer" in gone.stderr


@pytest.mark.usefixtures("session_root")
def test_ssh_checks_host_keys(first: dict[str, str], tmp_path: Path) -> None:
    with openssh.server() as server, plugin() as (port, seen):
        env = first | {name: server.env[name] for name in ("PATH", "SSH_AUTH_SOCK")} | {"TMPDIR": str(tmp_path)}
        env["NV_HOST"] = f"ssh://{openssh.USER}@127.0.0.1:{server.port}:{port}"
        unknown = nvidia_docker("run", "cuda", env=env, check=False)
        assert (unknown.returncode, unknown.stdout, seen) == (1, "", [])
        assert "Host key verification failed" in unknown.stderr
        server.make_known()
        done = nvidia_docker("run", "cuda", env=env, check=False)
        assert done.stdout.splitlines() == ["run", *WORDS, "cuda"], done.stderr
        assert seen == ["plugin /gpu/info/json", "plugin /docker/cli?vol=nvidia_driver"]
        assert not list(tmp_path.glob("gpudock-ssh-*"))
        assert run(["pgrep", "-f", "gpudock-ssh-"], check=False).stdout == ""  # the tunnel is gone
