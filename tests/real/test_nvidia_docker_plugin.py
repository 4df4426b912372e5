"""nvidia-docker-plugin with a real Docker 20.10, which knows neither CDI nor our runtime, and against hostile clients."""

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gpudock.compat import plugin_http
from gpudock.compat.plugin_api import ACCEPTED
from real.harness import engines, images, leftovers, processes
from real.harness.commands import run
from real.harness.engines import Engine
from real.harness.product import Product
from real.hook_stage import digest

pytestmark = pytest.mark.real

DRIVER, NEWER = "580.159.04", "590.10"
NAME = f"nvidia_driver_{DRIVER}"
PLUGINS = Path("/run/docker/plugins")  # where every Docker looks
SPECS = Path("/etc/docker/plugins")
# As CUDA images set it for nvidia-docker 1.
CUDA_PATH = {"LD_LIBRARY_PATH": "/usr/local/nvidia/lib:/usr/local/nvidia/lib64"}
PROBE = ("/probe", "libcuda.so.1", "--cuda", "--nvml")
INTERNAL = "internal error, check logs for details\n"
TRIES = 20
KILLS = pytest.mark.parametrize("kills", [8, pytest.param(40, marks=pytest.mark.soak)])


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


class Daemon:
    """nvidia-docker-plugin as a process, and its clients."""

    def __init__(self, gpudock: Product, folder: Path, sockets: Path, *flags: str, cdi: Path | None = None) -> None:
        self.port = free_port()
        self.sockets, self.folder = sockets, folder
        self.volumes = folder / "volumes"
        self.log = folder / "plugin.log"
        self.env = os.environ | gpudock.env | ({"GPUDOCK_CDI_DIR": str(cdi)} if cdi else {})
        code = "from gpudock.cli.nvidia_docker_plugin import main; main()"
        own = ["-s", str(sockets), "-l", f"localhost:{self.port}", "-d", str(self.volumes)]
        self.argv = [sys.executable, "-c", code, *own, *flags]
        folder.mkdir(parents=True, exist_ok=True)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def path(self) -> Path:
        return self.sockets / "nvidia-docker.sock"

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.argv, env=self.env, stdin=subprocess.DEVNULL, stderr=log, stdout=log)
        deadline = time.monotonic() + 20
        while True:
            with suppress(OSError, http.client.HTTPException):
                if self.post("Plugin.Activate")[0] == 200 and self.get("/docker/cli")[0] == 200:
                    return
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)

    def post(self, call: str, **values: object) -> tuple[int, Any]:
        body = json.dumps(values).encode()
        head = f"POST /{call} HTTP/1.1\r\nHost: x\r\nAccept: {ACCEPTED[1]}\r\nContent-Length: {len(body)}\r\n\r\n"
        answer = self.raw(head.encode() + body)
        if not answer:
            raise ConnectionResetError  # it was killed meanwhile
        return int(answer.split(b" ", 2)[1]), json.loads(answer.partition(b"\r\n\r\n")[2] or "null")

    def ask(self, call: str, **values: object) -> Any:
        status, answer = self.post(f"VolumeDriver.{call}", **values)
        assert status == 200, answer
        return answer

    def raw(self, data: bytes, *, rest: bool = False, timeout: float = 30) -> bytes:
        """All that comes back. What a connection refuses in the middle of writing is no matter."""
        with closing(self.connected(rest=rest, timeout=timeout)) as client:
            with suppress(ConnectionResetError, BrokenPipeError):
                client.sendall(data)
            parts = []
            with suppress(ConnectionResetError):
                while part := client.recv(1 << 16):
                    parts.append(part)
        return b"".join(parts)

    def connected(self, *, rest: bool = False, timeout: float = 30) -> socket.socket:
        if rest:
            return socket.create_connection(("127.0.0.1", self.port), timeout=timeout)
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(timeout)
        try:
            client.connect(str(self.path))
        except OSError:
            client.close()
            raise
        return client

    def get(self, path: str) -> tuple[int, str]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as client:
            client.request("GET", path)
            answer = client.getresponse()
            return answer.status, answer.read().decode()

    def words(self) -> list[str]:
        """What nvidia-docker 1 put before the image when it ran against this machine from elsewhere."""
        return self.get("/docker/cli")[1].split(" ")


@contextmanager
def started(daemon: Daemon) -> Iterator[Daemon]:
    try:
        daemon.start()
        yield daemon
    finally:
        if daemon.process is not None and daemon.process.poll() is None:
            daemon.stop()


class OwnProduct(Product):
    """With its specification, too, in the session's folder: no engine here reads one."""

    @property
    def env(self) -> dict[str, str]:
        return {**super().env, "GPUDOCK_CDI_DIR": str(self.folder / "cdi")}


@contextmanager
def refreshed(folder: Path) -> Iterator[Product]:
    made = OwnProduct(folder / "gpudock", folder / "gpus")
    folder.mkdir(mode=0o755)
    try:
        made.simulate()
        made.refresh()
        yield made
    finally:
        leftovers.clear(folder)


@pytest.fixture(scope="module")
def installed(session_root: Path) -> Iterator[Product]:
    with refreshed(session_root / "plugin") as made:
        yield made


@pytest.fixture
def gpudock(installed: Product) -> Iterator[Product]:
    """With a driver that stays as it is. What a test has added to its folder goes."""
    had = set(installed.folder.iterdir())
    yield installed
    for added in set(installed.folder.iterdir()) - had:
        leftovers.clear(added)


@pytest.fixture
def changing(session_root: Path) -> Iterator[Product]:
    """One whose driver a test changes."""
    with refreshed(session_root / "plugin-changing") as made:
        yield made


@pytest.fixture
def own(gpudock: Product) -> Iterator[Daemon]:
    """One that no Docker knows of."""
    with started(Daemon(gpudock, gpudock.folder / "own", gpudock.folder / "sockets")) as daemon:
        yield daemon


@pytest.fixture
def known(gpudock: Product) -> Iterator[Daemon]:
    """One that every Docker on the machine finds."""
    assert not (PLUGINS / "nvidia-docker.sock").exists(), "this machine has an nvidia-docker-plugin"
    made = [folder for folder in (PLUGINS, PLUGINS.parent) if not folder.exists()]
    with started(Daemon(gpudock, gpudock.folder / "known", PLUGINS)) as daemon:
        yield daemon
    for folder in made:
        with suppress(OSError):  # others are in it, or it is gone
            folder.rmdir()


def test_a_container_loads_the_driver_of_the_volume(known: Daemon, docker20: Engine) -> None:
    image = images.load(docker20, "tiny", env=CUDA_PATH)
    assert docker20.run("volume", "create", "-d", "nvidia-docker", "--name", NAME).stdout.strip() == NAME
    place = docker20.run("volume", "inspect", "--format", "{{.Driver}} {{.Mountpoint}}", NAME).stdout.strip()
    assert place == f"nvidia-docker {known.volumes}/nvidia_driver/{DRIVER}"
    words = known.words()
    assert words[:2] == ["--volume-driver=nvidia-docker", f"--volume={NAME}:/usr/local/nvidia:ro"]
    name = "gpudock-volume"
    said = docker20.run("run", "--name", name, "--network", "none", *words, image, *PROBE).stdout
    assert f"libcuda.so.1 ok /usr/local/nvidia/lib64/libcuda.so.1 /usr/local/nvidia/lib64/libcuda.so.{DRIVER}" in said
    assert "cuda.init 0" in said
    assert "cuda.count 2" in said
    assert f"nvml.driver {DRIVER}" in said
    assert docker20.run("volume", "rm", NAME, check=False).returncode != 0  # a container, though stopped, names it
    docker20.run("rm", name)
    docker20.run("volume", "rm", NAME)
    assert list((known.volumes / "nvidia_driver").iterdir()) == []


# Docker 20.10 gives --privileged containers every capability, also one that this machine's root may not have.
@pytest.mark.parametrize(
    ("name", "rights"),
    [("docker20", ()), ("docker20", ("--cap-add=SYS_ADMIN",)), ("docker28", ()), ("docker28", ("--privileged",))],
)
def test_who_writes_into_the_volume_does_not_reach_the_driver(
    known: Daemon, gpudock: Product, request: pytest.FixtureRequest, name: str, rights: tuple[str, ...]
) -> None:
    """A container that mounts it without :ro may spoil the volume, as any volume, but nothing else of the host."""
    docker: Engine = request.getfixturevalue(name)
    image = images.load(docker, "debian")
    docker.run("volume", "create", "-d", "nvidia-docker", "--name", NAME)
    host = [gpudock.gpus, *(gpudock.folder / "state").glob("driver/*")]
    before = [digest(folder) for folder in host]
    flags = ("--network", "none", "--volume", f"{NAME}:/v", *rights)
    try:
        attack = "find /v -type f -exec sh -c 'for f; do echo evil >>$f && echo written; done' sh {} +"
        said = docker.run("run", "--rm", *flags, image, "sh", "-c", attack, check=False).stdout
        assert said.split().count("written") > 10  # the volume itself is open
        assert [digest(folder) for folder in host] == before
    finally:
        docker.run("volume", "rm", NAME)
    assert list((known.volumes / "nvidia_driver").iterdir()) == []


def test_docker_makes_the_volume_by_itself(known: Daemon, docker20: Engine) -> None:
    """As nvidia-docker 1 left it to `docker run --volume-driver`; and a wrong version is refused with its words."""
    image = images.load(docker20, "tiny", env=CUDA_PATH)
    said = docker20.run("run", "--rm", "--network", "none", *known.words(), image, *PROBE).stdout
    assert "cuda.init 0" in said
    assert known.ask("List")["Volumes"] == [{"Name": NAME, "Mountpoint": f"{known.volumes}/nvidia_driver/{DRIVER}"}]
    assert NAME in docker20.run("volume", "ls", "--quiet").stdout
    wrong = docker20.run("volume", "create", "-d", "nvidia-docker", "--name", "nvidia_driver_1.0", check=False)
    assert "invalid volume version: nvidia_driver_1.0" in wrong.stderr
    docker20.run("volume", "rm", NAME)


def test_nvidia_docker_compose_with_its_plugin(
    known: Daemon, gpudock: Product, docker20: Engine, tmp_path: Path
) -> None:
    """As its users had it: a plain file, the plugin's devices, and the volume, which is made when it is missing."""
    image = images.load(docker20, "tiny", env=CUDA_PATH)
    service = f"image: {image}\n    network_mode: none\n    command: {json.dumps([*PROBE])}\n"
    (tmp_path / "docker-compose.yml").write_text(f'version: "2"\nservices:\n  job:\n    {service}')
    words = ("-n", f"localhost:{known.port}", "-p", "gpudock-v1")
    program = (sys.executable, "-m", "gpudock.cli.nvidia_docker_compose", *words)

    def called(*command: str) -> str:
        env = {**docker20.env, **gpudock.env}
        done = subprocess.run([*program, *command], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    try:
        said = called("up", "--no-color")
        assert f"/usr/local/nvidia/lib64/libcuda.so.{DRIVER}" in said
        assert "cuda.count 2" in said
        assert known.ask("List")["Volumes"] is not None
    finally:
        called("down")
    docker20.run("volume", "rm", NAME)


def test_a_volume_in_use_is_not_removed(own: Daemon, docker20: Engine) -> None:
    """By a container that mounts the folder, of which no volume driver is told."""
    image = images.load(docker20, "tiny", env=CUDA_PATH)
    own.ask("Create", Name=NAME)
    place = own.ask("Path", Name=NAME)["Mountpoint"]
    docker20.run(
        "run", "-d", "--name", "gpudock-user", "--network", "none", "-v", f"{place}:/x:ro", image, "sleep", "99"
    )
    try:
        assert own.ask("Remove", Name=NAME) == {"Err": f"cannot remove {NAME}: volume is in use"}
        assert own.ask("Path", Name=NAME)["Mountpoint"] == place
    finally:
        docker20.run("rm", "--force", "gpudock-user")
    assert own.ask("Remove", Name=NAME) == {"Err": None}
    assert not Path(place).exists()


def test_a_fixed_folder_follows_and_nobody_sees_a_mixture(changing: Product, docker20: Engine) -> None:
    with started(Daemon(changing, changing.folder / "own", changing.folder / "sockets")) as own:
        follows_and_nobody_sees_a_mixture(own, changing, docker20)


def follows_and_nobody_sees_a_mixture(own: Daemon, gpudock: Product, docker20: Engine) -> None:
    image = images.load(docker20, "tiny", env=CUDA_PATH)
    fixed = gpudock.folder / "nvidia"
    volume = ("--volumes", str(own.volumes))
    gpudock("volume", "create", *volume, "--static", str(fixed))
    mount = ("--network", "none", "-v", f"{fixed}:/usr/local/nvidia:ro")
    docker20.run("run", "-d", "--name", "gpudock-old", *mount, image, "sleep", "99")
    look = ("/bin/sh", "-c", "cd /usr/local/nvidia/lib64; ls lib*.so.5*; sleep 0.3; ls lib*.so.5*")
    seen: set[str] = set()

    def containers() -> None:
        while not done.is_set():
            said = docker20.run("run", "--rm", *mount, image, *look).stdout
            (version,) = {line.rpartition(".so.")[2] for line in said.split()}  # one version in all, and both times
            seen.add(version)

    done = threading.Event()
    with failing(containers) as load:
        try:
            gpudock("simulate", "upgrade", str(gpudock.gpus), NEWER)
            assert own.get("/docker/cli")[0] == 500  # nobody is told of no GPU
            gpudock.refresh()
            wait_for(lambda: fixed.readlink().name == NEWER)  # the daemon follows by itself
            wait_for(lambda: NEWER in seen or not load.is_alive(), 60)
        finally:
            done.set()
    assert NEWER in seen
    said = docker20.run("exec", "gpudock-old", "ls", "/usr/local/nvidia/lib64").stdout
    assert (f"libcuda.so.{DRIVER}" in said, NEWER in said) == (True, False)
    assert gpudock("volume", "rm", *volume, NAME, check=False).returncode == 5
    docker20.run("rm", "--force", "gpudock-old")
    gpudock("volume", "rm", *volume, NAME)
    gpudock("volume", "rm", *volume, "--static", str(fixed))
    assert not fixed.is_symlink()


def wait_for(happened: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextmanager
def failing(work: Callable[[], None]) -> Iterator[threading.Thread]:
    """Runs `work` in a thread meanwhile, and raises what it raised."""
    errors: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  raised below
            errors.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    try:
        yield thread
    finally:
        thread.join(120)
    if errors:
        raise errors[0]


@KILLS
def test_nothing_acknowledged_is_lost_when_it_is_killed(own: Daemon, kills: int) -> None:
    """One writer that believes only what was acknowledged, and the daemon killed under it again and again."""
    done = threading.Event()
    acknowledged = 0

    def writer() -> None:
        nonlocal acknowledged
        expected: bool | None = None  # whether it is there; None: asked for, but not acknowledged
        chance = random.Random(7)
        while not done.is_set():
            call = chance.choice(["Create", "Remove", "Path"])
            before, expected = expected, None if call != "Path" else expected
            try:
                answer = own.ask(call, Name=NAME)
            except OSError:
                continue  # killed, or not there yet: a reading client knows no more than before
            acknowledged += 1
            if call != "Path":
                assert answer == {"Err": None}
                expected = call == "Create"
                continue
            there = answer["Err"] is None
            assert before is None or there == before, (before, answer)
            if there:
                assert (Path(answer["Mountpoint"]) / f"lib64/libcuda.so.{DRIVER}").stat().st_size > 0
            expected = there

    with failing(writer) as load:
        try:
            for number in range(kills):
                enough = acknowledged + 10
                while acknowledged < enough and load.is_alive():
                    time.sleep(0.005)
                time.sleep(0.013 * number)
                own.kill()
                own.start()
        finally:
            done.set()
    assert acknowledged >= 10 * kills
    assert own.ask("Remove", Name=NAME) == {"Err": None}
    assert list((own.volumes / "nvidia_driver").iterdir()) == []
    assert own.stop() == 0
    assert list(own.sockets.iterdir()) == []
    assert "Traceback" not in own.log.read_text()


@KILLS
def test_docker_under_load_gets_over_kills(known: Daemon, docker20: Engine, kills: int) -> None:
    """What was not acknowledged may fail: Docker repeats a request that was cut off, but without its body (moby's
    callWithRetry), and takes a driver that does not tell of a volume for one that has none. Whatever starts has its driver, and afterwards all is as if nobody had been killed.
    """
    image = images.load(docker20, "tiny", env=CUDA_PATH)
    docker20.run("volume", "create", "-d", "nvidia-docker", "--name", NAME)
    words = known.words()
    done = threading.Event()
    runs = cut_off = 0

    def containers() -> None:
        nonlocal runs, cut_off
        while not done.is_set():
            said = docker20.run("run", "--rm", "--network", "none", *words, image, *PROBE, check=False, timeout=180)
            if said.returncode == 0:
                assert "cuda.init 0" in said.stdout
                runs += 1
            else:
                assert said.returncode == 125
                texts = ("VolumeDriver.", "found references to volume", f"get {NAME}: no such volume")
                assert any(text in said.stderr for text in texts), said.stderr
                cut_off += 1

    def more_or_failed(so_far: int) -> bool:
        return runs > so_far or not load.is_alive()

    with failing(containers), failing(containers) as load:
        try:
            for _ in range(kills):
                time.sleep(0.4)
                known.kill()
                known.start()
                wait_for(partial(more_or_failed, so_far=runs), 90)  # it goes on after each
        finally:
            done.set()
    sys.stdout.write(f"{kills} kills: {runs} containers ran, {cut_off} starts were cut off\n")
    docker20.remove_containers()
    docker20.run("volume", "rm", NAME)
    assert list((known.volumes / "nvidia_driver").iterdir()) == []


def test_docker_restarted_under_load(known: Daemon, session_root: Path) -> None:
    """Whatever it was doing: afterwards the volume is there, containers get it, and then all of it can go."""
    with ExitStack() as stack:
        replaced: list[subprocess.Popen[bytes]] = []
        stack.callback(stop_all, replaced)  # after the engine's own end, which needs the last one
        docker = stack.enter_context(engines.docker20(session_root / "docker-restarted"))
        image = images.load(docker, "tiny", env=CUDA_PATH)
        docker.run("volume", "create", "-d", "nvidia-docker", "--name", NAME)
        command = ("--rm", "--network", "none", *known.words(), image, *PROBE)
        pidfile = docker.folder / "docker.pid"
        for _ in range(5):
            with failing(partial(three_times, docker, command)):
                time.sleep(0.5)
                pid = int(pidfile.read_text())
                argv = Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]
                os.kill(pid, signal.SIGTERM)
                for each in replaced[-1:]:
                    each.wait(60)
                wait_for(partial(ended, pid), 60)
                with (docker.folder / "again.log").open("ab") as log:
                    replaced.append(subprocess.Popen(argv, env=docker.env, stdout=log, stderr=log))
                wait_for(lambda: docker.run("version", check=False).returncode == 0, 60)
            assert NAME in docker.run("volume", "ls", "--quiet").stdout
            assert "cuda.init 0" in docker.run("run", *command).stdout
        docker.remove_containers()
        docker.run("volume", "rm", NAME)
    assert list((known.volumes / "nvidia_driver").iterdir()) == []


def three_times(docker: Engine, command: tuple[str, ...]) -> None:
    for _ in range(3):
        docker.run("run", *command, check=False)


def ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] == "Z"
    except OSError:
        return True


def stop_all(running: list[subprocess.Popen[bytes]]) -> None:
    for process in running:
        process.terminate()
        process.wait(30)


def test_of_twenty_one_serves(gpudock: Product) -> None:
    first = Daemon(gpudock, gpudock.folder / "many", gpudock.folder / "sockets")
    many = [subprocess.Popen(first.argv, env=first.env, stderr=subprocess.PIPE, text=True) for _ in range(TRIES)]
    try:
        wait_for(lambda: sum(each.poll() is None for each in many) <= 1, 60)
        (serves,) = [each for each in many if each.poll() is None]
        wait_for(first.path.exists)
        assert first.ask("List")["Err"] is None
        for each in many:
            if each is not serves:
                assert each.returncode == 1
                assert each.stderr is not None
                assert "Error: Another nvidia-docker-plugin serves" in each.stderr.read()
    finally:
        for each in many:
            each.terminate()
            each.communicate()
    assert not first.path.exists()


def test_a_spec_file_tells_docker(gpudock: Product, session_root: Path) -> None:
    """For a socket in a folder of its own, as nvidia-docker 1's packages had it. A Docker keeps where it found one."""
    had_folder = SPECS.exists()
    spec = SPECS / "nvidia-docker.spec"
    assert not spec.exists()
    sockets = gpudock.folder / "elsewhere"
    try:
        daemon = Daemon(gpudock, gpudock.folder / "spec", sockets, "--spec", str(spec))
        with engines.docker20(session_root / "docker-spec") as docker, started(daemon):
            assert spec.read_text() == f"unix://{sockets}/nvidia-docker.sock"
            docker.run("volume", "create", "-d", "nvidia-docker", "--name", NAME)
            docker.run("volume", "rm", NAME)
            assert daemon.stop() == 0
        assert not spec.exists()
        assert daemon.log.read_text().rstrip().endswith("Successfully terminated")
    finally:
        spec.unlink(missing_ok=True)
        if not had_folder and SPECS.exists():
            SPECS.rmdir()


def test_flags_of_nvidia_docker_1(gpudock: Product) -> None:
    daemon = Daemon(gpudock, gpudock.folder / "flags", gpudock.folder / "sockets")
    plugin = daemon.argv[:3]

    def called(*flags: str) -> subprocess.CompletedProcess[str]:
        return run([*plugin, *flags], env=daemon.env, check=False)

    assert called("-v").stdout == "NVIDIA Docker plugin: 1.0.1\n"
    assert (called("-h").returncode, called("-x").returncode) == (0, 2)
    with socket.create_server(("127.0.0.1", daemon.port)):
        taken = called(f"-l=localhost:{daemon.port}", "-s", str(daemon.sockets), "--d", str(daemon.volumes))
    assert taken.returncode == 1
    assert f"Error: listen tcp 127.0.0.1:{daemon.port}: bind: address already in use" in taken.stderr
    assert list(daemon.sockets.iterdir()) == []


def test_a_machine_without_gpus(gpudock: Product, tmp_path: Path) -> None:
    with started(Daemon(gpudock, tmp_path / "d", gpudock.folder / "sockets", cdi=tmp_path / "cdi")) as daemon:
        assert json.loads(daemon.get("/v1.0/gpu/info/json")[1])["Devices"] == []
        assert json.loads(daemon.get("/gpu/status/json")[1])["Devices"] == []
        assert daemon.ask("List") == {"Volumes": None, "Err": None}
        assert "sudo gpudock refresh" in daemon.ask("Create", Name=NAME)["Err"]
        assert "sudo gpudock refresh" in daemon.log.read_text()


def test_gpus_by_http(own: Daemon) -> None:
    status, text = own.get("/gpu/info/json")
    values = json.loads(text)
    assert (status, values["Version"]) == (200, {"Driver": DRIVER, "CUDA": "13.0"})
    first = values["Devices"][0]
    assert (first["Power"], first["Arch"], first["Memory"]["Global"]) == (700, "9.0", 143771)
    now = json.loads(own.get("/gpu/status/json")[1])["Devices"]
    assert [(each["Power"], each["Temperature"], each["Memory"]["GlobalUsed"]) for each in now] == [(87, 40, 615)] * 2


def test_a_driver_that_hangs_stops_nobody_else(changing: Product) -> None:
    gpudock = changing
    machine = json.loads(gpudock("simulate", "describe").stdout)
    description = gpudock.folder / "description.json"
    description.write_text(json.dumps({**machine, "faults": {"nvmlDeviceGetPowerUsage": "hang"}}))
    gpudock("simulate", "make", str(gpudock.gpus), "--replace", "--description", str(description))
    gpudock.refresh()
    with started(Daemon(gpudock, gpudock.folder / "hang", gpudock.folder / "sockets")) as daemon:
        answers: list[tuple[int, str]] = []
        asking = [threading.Thread(target=lambda: answers.append(daemon.get("/gpu/status"))) for _ in range(20)]
        for each in asking:
            each.start()
        time.sleep(0.3)
        slowest = 0.0
        for _ in range(30):
            began = time.monotonic()
            assert daemon.ask("List")["Err"] is None
            assert daemon.get("/docker/cli")[0] == 200
            slowest = max(slowest, time.monotonic() - began)
        assert slowest < 4  # of the five that the driver has
        for each in asking:
            each.join(60)
        assert answers == [(500, INTERNAL)] * 20
        log = daemon.log.read_text()
        assert log.count("Error: the driver gave no answer within 5 s") == 1
        children = [each for each in processes.of_folder(gpudock.folder) if "nvml_sample_child" in each.command]
        assert children == []


def test_slow_clients_block_nobody(own: Daemon) -> None:
    """Two hundred on each socket that send a byte now and then."""
    done = threading.Event()
    slow = [own.connected(rest=rest) for rest in (False, True) for _ in range(200)]

    def drip() -> None:
        while not done.is_set():
            for client in slow:
                with suppress(OSError):
                    client.send(b"A")
            done.wait(0.5)

    times = []
    with failing(drip):
        try:
            for turn in range(100):
                began = time.monotonic()
                assert own.ask("Create" if turn % 2 else "Remove", Name=NAME) == {"Err": None}
                assert own.get("/docker/cli/json")[0] == 200
                times.append(time.monotonic() - began)
        finally:
            done.set()
            for client in slow:
                client.close()
    times.sort()
    sys.stdout.write(
        f"volume and REST call together beside 400 slow clients: median {times[50]:.3f} s, slowest {times[-1]:.3f} s\n"
    )
    assert times[98] < 2  # a slow client has five
    assert times[-1] < 4


def test_a_slow_header_has_five_seconds(own: Daemon) -> None:
    began = time.monotonic()
    assert own.raw(b"GET / HTTP/1.1\r\nA: b", rest=True).startswith(b"HTTP/1.1 408 ")
    assert 4 < time.monotonic() - began < 9


CALLS = ("Plugin.Activate", *(f"VolumeDriver.{each}" for each in ("Create", "Remove", "Mount", "Path", "Unmount", "Get", "List", "Capabilities")))  # fmt: skip
PATHS = ("/gpu/info", "/gpu/info/json", "/docker/cli", "/docker/cli/json", "/mesos/cli", "/v1.0/gpu/info", "/")
NAMES = (NAME, "nvidia_driver_..", "nvidia_driver_1", "../../etc", "x" * 5000, "\0", "é", "nvidia_driver_" + "9" * 40)
NOISE = (
    b"\0",
    b"\r\n",
    b"\xff",
    b" ",
    b":",
    b'"',
    b"{",
    b"[" * 2000,
    b"%00",
    b"A" * 20000,
    b"Content-Length: 9\r\n",
    b"../",
)


def fuzzed(chance: random.Random) -> tuple[bytes, bool]:
    """A request that was right before something was done to it, and whether it is for the REST API."""
    rest = chance.random() < 0.5
    if rest:
        query = chance.choice(["", "?dev=0", "?dev=" + chance.choice(NAMES), "?vol=%2e%2e&dev=0+1"])
        data = f"GET {chance.choice(PATHS)}{query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    else:
        values = {"Name": chance.choice(NAMES), "ID": "x" * chance.randrange(50), "Opts": {"a": chance.choice(NAMES)}}
        body = json.dumps(chance.choice([values, [values], 1, None, {"Name": 7}])).encode()
        head = f"POST /{chance.choice(CALLS)} HTTP/1.1\r\nAccept: {chance.choice(ACCEPTED)}\r\nHost: x\r\n"
        data = head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body
    for _ in range(chance.randrange(4)):
        at = chance.randrange(len(data) + 1)
        cut = chance.randrange(8)
        data = data[:at] + chance.choice([*NOISE, os.urandom(3)]) + data[at + cut :]
    return data, rest


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("count", [1_000, pytest.param(10_000, marks=pytest.mark.soak)])
def test_fuzzed_requests(own: Daemon, count: int) -> None:
    assert own.process is not None
    chance = random.Random(count)
    answered = 0
    warm = 0
    for number in range(count):
        if number == count // 2:
            warm = resident(own.process.pid)
        data, rest = fuzzed(chance)
        with closing(own.connected(rest=rest)) as client, suppress(ConnectionResetError, BrokenPipeError):
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            answer = b""
            while part := client.recv(1 << 16):
                answer += part
            assert b"Traceback" not in answer
            assert b".py" not in answer
            assert not answer or answer.startswith(b"HTTP/1.1 "), answer[:100]
            answered += bool(answer)
    grown = resident(own.process.pid) - warm
    sys.stdout.write(
        f"{count} fuzzed requests, {answered} answered; {warm >> 10} KiB at half, {grown >> 10} KiB more at the end\n"
    )
    assert answered > count * 0.5
    assert grown < 2 << 20
    assert own.process.poll() is None
    log = own.log.read_text(errors="replace")
    assert "Traceback" not in log
    assert "unexpected" not in log
    assert own.ask("Create", Name=NAME) == {"Err": None}
    assert own.get("/gpu/info/json")[0] == 200


def test_the_largest_body(own: Daemon) -> None:
    head = f"POST /VolumeDriver.List HTTP/1.1\r\nAccept: {ACCEPTED[0]}\r\nContent-Length: "
    most = plugin_http.BODY_LIMIT
    assert own.raw(f"{head}{most}\r\n\r\n".encode() + bytes(most)).startswith(b"HTTP/1.1 200 ")
    assert own.raw(f"{head}{most + 1}\r\n\r\n".encode() + bytes(most + 1)).startswith(b"HTTP/1.1 413 ")
