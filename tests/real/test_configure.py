"""`gpudock configure` on running engines: Docker 20.10 and 28, podman, containerd 1 and 2."""

import json
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from gpudock.engine.configure import change, containerd
from gpudock.errors import RefusedError
from gpudock.host.root import Root
from gpudock.proc import run as run_for
from real.harness import archive, daemons, docker_tree, engines, images, leftovers
from real.harness.commands import run
from real.harness.engines import Engine
from unit.engine.configure import shapes

pytestmark = pytest.mark.real

SHAPES = ("empty", "nvidia-docker2-default", "kubeadm", "userns-live-restore", "cdi-off")  # unit tests have all of them
REFUSED = {"docker20": {"cdi-off"}, "docker28": set()}  # 20.10 does not know the key cdi-spec-dirs
HOOK = "nvidia-container-runtime-hook"
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"  # nothing is put into /usr/local/bin of the machine
LIVE = ("--network", "none", "--runtime", "runc")


@dataclass(frozen=True)
class Configured:
    engine: Engine
    libexec: Path

    @property
    def file(self) -> Path:
        return self.engine.folder / "daemon.json"

    @property
    def program(self) -> str:
        return f"{self.libexec}/current/gpudock-runtime"

    def __call__(self, *args: str, check: bool = True) -> CompletedProcess[str]:
        return configure(self.libexec, self.engine.env, "docker", *args, check=check)

    def info(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.engine.run("info", "--format", "{{json .}}").stdout)
        return answer

    def runtimes(self) -> dict[str, str]:
        return {name: entry["path"] for name, entry in self.info()["Runtimes"].items() if "path" in entry}

    def pid(self) -> int:
        return int((self.engine.folder / "docker.pid").read_text())

    def reload(self, text: str, *runtimes: str) -> None:
        """A docker that runs with this file: with these runtimes, and without ours."""
        self.file.write_text(text)
        os.kill(self.pid(), 1)
        deadline = time.monotonic() + 10
        while "gpudock" in (has := self.runtimes()) or self.info()["DefaultRuntime"] != "runc" or {*runtimes} - {*has}:
            assert time.monotonic() < deadline, "docker does not take its file"
            time.sleep(0.02)


def configure(libexec: Path, env: Mapping[str, str], *args: str, check: bool = True) -> CompletedProcess[str]:
    folders = {f"GPUDOCK_{name}_DIR": str(libexec.parent / name.lower()) for name in ("STATE", "RUN", "CDI")}
    env = {**env, **folders, "GPUDOCK_LIBEXEC_DIR": str(libexec)}
    return run([sys.executable, "-m", "gpudock", "configure", *args], env=env, check=check)


@pytest.fixture(scope="module")
def libexec(session_root: Path) -> Path:
    return session_root / "configure" / "libexec"


@pytest.fixture(scope="module", params=["docker20", "docker28"])
def started(request: pytest.FixtureRequest, session_root: Path) -> Iterator[Engine]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", PATH)
        with engines.START[request.param](session_root / f"configure-{request.param}") as engine:
            yield engine


@pytest.fixture
def docker(started: Engine, libexec: Path) -> Iterator[Configured]:
    """A docker that has nothing of ours, before and after."""
    found = Configured(started, libexec)
    found.reload('{"default-runtime": "runc", "runtimes": {}}')
    found.file.write_text("{}")
    yield found
    started.remove_containers()
    if found.file.exists() and "gpudock-runtime" in found.file.read_text():
        found("--undo")
    left = set(os.listdir(started.folder)) - {"daemon.json"}
    assert not [name for name in left if name.startswith("daemon.json")]
    assert HOOK not in os.listdir(started.folder / "bin")


@pytest.mark.parametrize("name", SHAPES)
def test_round_trips_of_real_files(docker: Configured, name: str) -> None:
    """What this docker refuses in them is told by docker itself, and nothing is changed."""
    data = (shapes.FOLDER / f"daemon/{name}.json").read_bytes()
    docker.file.write_bytes(data)
    pid = docker.pid()
    done = docker("--default", "--restart", check=False)
    assert docker.pid() == pid
    if name in REFUSED[docker.engine.name]:
        assert done.returncode in {3, 6}
        assert docker.file.read_bytes() == data
        assert docker.info()["DefaultRuntime"] == "runc"
        return
    assert docker.runtimes()["gpudock"] == docker.program
    assert docker.info()["DefaultRuntime"] == "gpudock"
    docker("--undo")
    theirs = json.loads(data or b"{}")
    assert docker.info()["DefaultRuntime"] == theirs.get("default-runtime", "runc")
    assert "gpudock" not in docker.info()["Runtimes"]
    assert docker.file.read_bytes() == data if data.strip() else docker.file.read_text() == "{}\n"
    docker.file.write_text("{}")


@pytest.mark.parametrize("text", ["{", '{"runtimes": {"a": {"path": "/a"}},}', "[]"])
def test_a_broken_file_never_stops_a_running_docker(docker: Configured, text: str) -> None:
    pid = docker.pid()
    docker.engine.run(
        "run", "--detach", "--name", "live", *LIVE, images.load(docker.engine, "busybox"), "sleep", "1000"
    )
    docker.file.write_text(text)
    done = docker("--restart", check=False)
    assert done.returncode in {3, 6}
    assert docker.file.read_text() == text
    assert docker.pid() == pid
    assert docker.engine.run("ps", "--format", "{{.Names}}").stdout == "live\n"
    docker.file.write_text("{}")


def test_the_runtime_starts_containers_and_the_live_one_survives_the_undo(docker: Configured) -> None:
    """A docker 20.10 that is told to forget its default runtime, and keeps another one, would crash."""
    text = '{\n\t"runtimes": {"other": {"path": "/usr/bin/crun"}}\n}\n'
    docker.reload(text, "other")
    docker("--default", "--restart")
    image = images.load(docker.engine, "busybox")
    assert docker.engine.run("run", "--rm", "--network", "none", image, "echo", "through it").stdout == "through it\n"
    docker.engine.run("run", "--detach", "--name", "live", *LIVE, image, "sleep", "1000")
    pid = docker.pid()
    docker("--undo")
    time.sleep(0.5)
    assert docker.pid() == pid
    assert docker.engine.run("ps", "--format", "{{.Names}}").stdout == "live\n"
    assert docker.engine.run("exec", "live", "echo", "alive").stdout == "alive\n"
    assert (docker.runtimes().get("other"), docker.runtimes().get("gpudock")) == ("/usr/bin/crun", None)
    assert docker.file.read_text() == text
    os.kill(pid, 1)  # what the crash took: any later reload
    time.sleep(0.5)
    assert docker.engine.run("exec", "live", "echo", "alive").stdout == "alive\n"


def test_containers_that_name_the_runtime_block_the_undo(docker: Configured) -> None:
    docker("--restart")
    ours = ("--network", "none", "--runtime", "gpudock", images.load(docker.engine, "busybox"))
    docker.engine.run("run", "--detach", "--name", "runs", *ours, "sleep", "1000")
    docker.engine.run("run", "--name", "ended", *ours, "true")
    docker.engine.run("create", "--name", "made", *ours, "true")
    before = docker.file.read_text()
    done = docker("--undo", check=False)
    assert done.returncode == 5
    for each in ("runs (running)", "ended (exited)", "made (created)", "docker rm --force NAME"):
        assert each in done.stderr
    assert docker.file.read_text() == before
    assert "gpudock" in docker.runtimes()
    docker.engine.run("rm", "--force", "runs", "ended", "made")
    docker("--undo")
    assert "gpudock" not in docker.runtimes()


def test_only_the_default_is_taken_away_when_a_container_needs_the_runtime(docker: Configured) -> None:
    docker("--restart", "--default")
    image = images.load(docker.engine, "busybox")
    docker.engine.run("run", "--detach", "--name", "train", "--network", "none", image, "sleep", "1000")
    docker("--no-default", "--restart")
    assert docker.info()["DefaultRuntime"] == "runc"
    assert docker.engine.run("exec", "train", "echo", "alive").stdout == "alive\n"


def test_the_runtime_goes_by_what_strict_says(docker: Configured) -> None:
    config = Path("/etc/gpudock/config.toml")
    assert not config.exists(), f"{config} exists: this test would change this machine's own settings"
    had = config.parent.exists()
    settings = docker.libexec / "current/settings.json"
    try:
        docker("--strict", "--swarm-resource", "DOCKER_RESOURCE_GPU", "--volume-mounts")
        made = json.loads(settings.read_text())
        assert (made["unprivileged"], made["mounts"], made["swarm"]) == (False, True, ["DOCKER_RESOURCE_GPU"])
        assert "ask for all GPUs by themselves" not in docker("--default", "--dry-run").stderr
        docker("--no-strict", "--undo", check=False)
        assert json.loads(settings.read_text()) == made
    finally:
        config.unlink(missing_ok=True)
        if not had and config.parent.exists():
            config.parent.rmdir()
    docker("--restart")
    assert json.loads(settings.read_text())["unprivileged"] is True


def test_flags_of_the_running_docker_are_found(session_root: Path, libexec: Path, docker: Configured) -> None:
    """A second dockerd of the same version, started with the flags that the file must not repeat."""
    folder = session_root / f"flags-{docker.engine.name}"
    folder.mkdir()
    env = {**docker.engine.env, "DOCKER_HOST": f"unix://{folder}/docker.sock"}
    try:
        (folder / "daemon.json").write_text("{}")
        with started_with(folder, env, "--add-runtime", "other=/usr/bin/crun"):
            done = configure(libexec, env, "docker", "--restart", check=False)
            assert done.returncode == 5
            assert "--add-runtime other=/usr/bin/crun" in done.stderr
            assert (folder / "daemon.json").read_text() == "{}"
    finally:
        leftovers.clear(folder)


@contextmanager
def started_with(folder: Path, env: Mapping[str, str], *flags: str) -> Iterator[None]:
    wrapper = folder / "bin"
    wrapper.mkdir()
    real = shutil.which("dockerd", path=env["PATH"])
    (wrapper / "dockerd").write_text(
        f'#!/bin/sh\nexec -a dockerd {real} "$@" {" ".join(flags)}\n'.replace("sh", "bash", 1)
    )
    (wrapper / "dockerd").chmod(0o755)
    with daemons.docker(folder, {**env, "PATH": f"{wrapper}:{env['PATH']}"}):
        yield


def test_a_restarted_docker_allows_gpus(session_root: Path, libexec: Path, docker: Configured) -> None:
    """Without the hook's name on its PATH when it starts, docker says that there is no driver for [[gpu]]."""
    folder = session_root / f"again-{docker.engine.name}"
    (folder / "bin").mkdir(parents=True)
    path = docker.engine.env["PATH"].removeprefix(f"{docker.engine.folder}/bin:")
    for name in os.listdir(docker.engine.folder / "bin"):
        (folder / "bin" / name).symlink_to(os.readlink(docker.engine.folder / "bin" / name))
    env = {**docker.engine.env, "PATH": f"{folder}/bin:{path}", "DOCKER_HOST": f"unix://{folder}/docker.sock"}
    argv = ("docker", "-H", env["DOCKER_HOST"])
    engine = Engine(docker.engine.name, docker.engine.version, argv, env, (), folder)
    again = Configured(engine, libexec)
    try:
        again.file.write_text("{}")
        with daemons.docker(folder, env):
            image = images.load(engine, "busybox")
            asked = ("run", "--rm", "--network", "none", "--gpus", "all", "--runtime", "runc", image, "true")
            assert "could not select device driver" in engine.run(*asked, check=False).stderr
            said = again("--restart").stdout
            assert "docker must be restarted (it looks for what --gpus needs when it starts): stop process" in said
        with daemons.docker(folder, env):
            assert "docker confirms the settings" in again("--restart").stdout
            # Under runc our file of that name says why that is not enough.
            said = engine.run(*asked, check=False).stderr
            assert "could not select device driver" not in said
            engine.remove_containers()
            again("--undo")
    finally:
        leftovers.clear(folder)


def test_podman_takes_the_runtime_from_a_drop_in(libexec: Path, podman: Engine, session_root: Path) -> None:
    home = session_root / "podman-home"
    folder = Path("/etc/containers/containers.conf.d")
    had = folder.exists()
    # As a user's podman is: with the machine's configuration files, but with its own store.
    env = {name: value for name, value in podman.env.items() if name != "CONTAINERS_CONF"} | {"HOME": str(home)}
    try:
        assert "CONTAINERS_CONF is set" in configure(libexec, podman.env, "podman", check=False).stderr
        configure(libexec, env, "podman", "--as", "nvidia", "--default")
        form = "{{.Host.OCIRuntime.Name}} {{.Host.OCIRuntime.Path}}"
        assert run(["podman", "info", "--format", form], env=env).stdout.split() == [
            "nvidia",
            f"{libexec}/current/gpudock-runtime",
        ]
        configure(libexec, env, "podman", "--undo")
        assert not (folder / "gpudock.conf").exists()
    finally:
        (folder / "gpudock.conf").unlink(missing_ok=True)
        if not had and folder.exists():
            folder.rmdir()


@pytest.fixture(params=[pytest.param("1", marks=pytest.mark.debian), "2"])
def containerd_path(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A PATH whose containerd is Debian 12's own, or a newer suite's."""
    newer = request.param == "2" and not engines.host_docker_has_cdi()
    program = docker_tree.programs() / "containerd" if newer else archive.installed("containerd")
    said = run([str(program), "--version"]).stdout
    assert f" {request.param}." in said or f" v{request.param}." in said
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/containerd").symlink_to(program)
    return f"{tmp_path}/bin:{PATH}"


@pytest.mark.parametrize("name", ["kubernetes-2", None])
def test_containerd_merges_it_with_all_that_was_there(
    containerd_path: str, libexec: Path, tmp_path: Path, name: str | None
) -> None:
    config = tmp_path / "etc/config.toml"
    config.parent.mkdir()
    data = (shapes.FOLDER / f"containerd/{name}.toml").read_bytes() if name else None
    if data is not None:
        config.write_bytes(data)
    env = {**os.environ, "PATH": containerd_path}
    before = dumped(env, config)
    args = ("containerd", "--config-file", str(config))
    configure(libexec, env, *args, "--default")
    after = dumped(env, config)
    program = f"{libexec}/current/gpudock-runtime"
    assert after["runtimes"]["gpudock"]["options"]["BinaryName"] == program
    assert after["default_runtime_name"] == "gpudock"
    kept = {key: after["runtimes"].get(key) for key in before["runtimes"]}
    assert told(kept) == told(before["runtimes"])
    assert {key: value for key, value in after.items() if key not in {"runtimes", "default_runtime_name"}} == {
        key: value for key, value in before.items() if key not in {"runtimes", "default_runtime_name"}
    }
    configure(libexec, env, *args, "--undo")
    assert (config.read_bytes() if config.exists() else None) == (data or None)
    assert dumped(env, config) == before
    assert [path.name for path in config.parent.rglob("*") if path.is_file()] == (["config.toml"] if data else [])


def told(value: Any) -> Any:
    """Without what is not set: empty texts, zeros, and tables of nothing else."""
    if isinstance(value, dict):
        return {key: said for key, each in value.items() if (said := told(each))}
    return value


def dumped(env: dict[str, str], config: Path) -> dict[str, Any]:
    import tomllib

    words = ("--config", str(config), "config", "dump") if config.exists() else ("config", "default")
    plugins = tomllib.loads(run(["containerd", *words], env=env).stdout)["plugins"]
    plugin = plugins.get("io.containerd.cri.v1.runtime") or plugins["io.containerd.grpc.v1.cri"]
    found: dict[str, Any] = plugin["containerd"]
    return found


def test_containers_of_containerd_that_use_the_program_are_found(tmp_path: Path, libexec: Path) -> None:
    """By ctr, in whatever namespace; as nerdctl and Kubernetes leave them."""
    configure(
        libexec, {**os.environ, "PATH": PATH}, "containerd", "--dry-run", "--config-file", f"{tmp_path}/none.toml"
    )
    address = f"{tmp_path}/s"
    settings = {"root": f"{tmp_path}/root", "state": f"{tmp_path}/state"}
    text = "version = 2\n" + "".join(f'{key} = "{value}"\n' for key, value in settings.items())
    (tmp_path / "c.toml").write_text(text + 'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n')
    argv = ["containerd", "--config", f"{tmp_path}/c.toml", "--address", address]
    (tmp_path / "rootfs/bin").mkdir(parents=True)
    shutil.copy("/bin/busybox", tmp_path / "rootfs/bin/sh")
    ctr = ["ctr", "--address", address]
    with daemons._daemon(argv, {**os.environ, "PATH": PATH}, tmp_path / "log", Path(address).exists):
        for name, program in (("ours", f"{libexec}/current/gpudock-runtime"), ("theirs", "/usr/sbin/runc")):
            words = [
                "--fifo-dir",
                f"{tmp_path}/fifo",
                "--runc-binary",
                program,
                "--rootfs",
                f"{tmp_path}/rootfs",
                name,
                "/bin/sh",
                "-c",
                "exit",
            ]
            # That it cannot be started here does not matter: containerd has noted its program.
            run([*ctr, "--namespace", "some", "run", *words], check=False)
        found = containerd.using(run_for, tuple(ctr))
        assert [(each.name, each.state) for each in found] == [("ours", "namespace some")]
        for name in ("ours", "theirs"):
            run([*ctr, "--namespace", "some", "tasks", "delete", "--force", name], check=False)
            run([*ctr, "--namespace", "some", "containers", "delete", name])
    os.removedirs("/run/containerd/runc/some")  # of ctr's shim
    for path in (*Path("/sys/fs/cgroup").glob("some"), *Path("/sys/fs/cgroup").glob("*/some")):
        path.rmdir()


def test_root_writes_nowhere_where_others_could_lead_it_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker/daemon.json").write_text("{}")
    (tmp_path / "docker").chmod(0o777)
    with pytest.raises(RefusedError) as told:
        change.read(Root("/"), f"{tmp_path}/docker/daemon.json")
    assert "can be changed by others" in told.value.why
