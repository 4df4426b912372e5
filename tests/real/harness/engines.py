"""Private container engines: their state, sockets and configuration lie in one folder, and all of it goes with them."""

import json
import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from real.harness import archive, daemons, docker_tree, leftovers
from real.harness.commands import run

CDI_DIRS = ("/etc/cdi", "/var/run/cdi")


@dataclass(frozen=True)
class Engine:
    """One running engine. The product finds it as a user's would be found: by `env`, with the program on its PATH."""

    name: str
    version: str
    argv: tuple[str, ...]
    env: dict[str, str]
    cdi_dirs: tuple[str, ...]  # where it reads CDI specs; empty: it knows no CDI
    folder: Path

    def run(self, *args: str, check: bool = True, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Runs the engine's client; raises CommandFailed if check and it fails."""
        return run([*self.argv, *args], env=self.env, check=check, timeout=timeout)

    def remove_containers(self) -> None:
        running = self.run("ps", "--quiet").stdout.split()
        if running:  # what ends of itself meanwhile is no failure
            self.run("kill", *running, check=False)
        left = self.run("ps", "--all", "--quiet").stdout.split()
        if left:
            self.run("rm", "--force", "--volumes", *left)


@contextmanager
def podman(folder: Path) -> Iterator[Engine]:
    """The distribution's Podman as root with runc. Containers have no network unless they ask for the host's."""
    env = os.environ | podman_settings(folder, _storage_driver(folder.parent))
    _put_first_on_path(env, folder / "bin", {"podman": archive.installed("podman")})
    with _gone_afterwards(folder):
        version = run(["podman", "version", "--format", "{{.Client.Version}}"], env=env).stdout.strip()
        engine = Engine("podman", version, ("podman",), env, CDI_DIRS, folder)
        try:
            yield engine
        finally:
            engine.remove_containers()


def podman_settings(folder: Path, driver: str) -> dict[str, str]:
    """Variables by which a Podman keeps all it has in a new folder; driver: overlay, or vfs, which mounts nothing."""
    folder.mkdir(parents=True)
    (folder / "containers.conf").write_text(_containers_conf(folder))
    # Podman keeps the rest below graphroot, and there its process that cleans up looks for it: that one sees no variables.
    (folder / "storage.conf").write_text(
        f'[storage]\ndriver = "{driver}"\ngraphroot = "{folder}/graph"\nrunroot = "{folder}/run"\n'
    )
    return {"CONTAINERS_CONF": f"{folder}/containers.conf", "CONTAINERS_STORAGE_CONF": f"{folder}/storage.conf"}


def check_runroot(path: str) -> None:
    """With a longer one, Podman's process that cleans up refuses to run, and each `podman run` waits 20 s for it."""
    assert len(path) <= 50, f"{path} is too long for podman's runroot"


def docker20(
    folder: Path, config: Mapping[str, object] | None = None, beside: Mapping[str, Path] | None = None
) -> AbstractContextManager[Engine]:
    """Debian 12's own Docker, 20.10, which knows no CDI. config: daemon.json; beside: more programs on dockerd's PATH."""
    return docker_of("docker20", folder, installed_docker() | dict(beside or {}), config or {}, cdi_dirs=())


def docker28(
    folder: Path, config: Mapping[str, object] | None = None, beside: Mapping[str, Path] | None = None
) -> AbstractContextManager[Engine]:
    """A Docker with CDI: the distribution's own if it is new enough, else that of a newer suite. As docker20."""
    programs = docker28_programs() | dict(beside or {})
    return docker_of("docker28", folder, programs, {"features": {"cdi": True}, **(config or {})})


def docker28_programs() -> dict[str, Path]:
    if host_docker_has_cdi():
        return installed_docker()
    made = docker_tree.programs()
    return {name: made / name for name in docker_tree.PROGRAMS}


def docker_from(folder: Path, programs: Path) -> AbstractContextManager[Engine]:
    """A Docker with CDI whose programs lie in a folder, as docker_tree makes one."""
    found = {name: programs / name for name in docker_tree.PROGRAMS}
    return docker_of("docker", folder, found, {"features": {"cdi": True}})


def installed_docker() -> dict[str, Path]:
    return {name: archive.installed(name) for name in docker_tree.PROGRAMS if name != "docker-init"}


@contextmanager
def with_plugin(engine: Engine, name: str) -> Iterator[Engine]:
    """The same Docker, whose client has a plugin meanwhile: with buildx, `docker build` is BuildKit's."""
    own = Path("/usr/libexec/docker/cli-plugins", name)
    plugin = own if host_docker_has_cdi() else docker_tree.programs() / name
    folder = engine.folder / f"client-with-{name}"
    (folder / "cli-plugins").mkdir(parents=True)
    (folder / "cli-plugins" / name).symlink_to(plugin)
    try:
        yield replace(engine, env=engine.env | {"DOCKER_CONFIG": str(folder)})
    finally:
        shutil.rmtree(folder)


def compose() -> list[str]:
    """What the archive has of docker's compose that works: Debian 12 has 1.29, Ubuntu 24.04's needs an older Python."""
    return ["docker", "compose"] if archive.distribution() == "ubuntu" else ["docker-compose"]


def host_docker_has_cdi() -> bool:
    said = run([str(archive.installed("dockerd")), "--version"]).stdout  # Docker version 20.10.24+dfsg1, build 5d6db84
    return int(said.removeprefix("Docker version ").partition(".")[0]) >= 25


START: dict[str, Callable[[Path], AbstractContextManager[Engine]]] = {
    "podman": podman,
    "docker20": docker20,
    "docker28": docker28,
}


@contextmanager
def docker_of(
    name: str,
    folder: Path,
    programs: Mapping[str, Path],
    config: Mapping[str, object],
    *,
    cdi_dirs: tuple[str, ...] = CDI_DIRS,
    network: Sequence[str] = daemons.NO_NETWORK,
) -> Iterator[Engine]:
    """programs: by name; config: daemon.json; cdi_dirs: where it looks; network: flags of the daemon."""
    folder.mkdir(parents=True)
    host = f"unix://{folder}/docker.sock"
    env = os.environ | {"DOCKER_HOST": host, "DOCKER_CONFIG": str(folder / "client")}
    env.pop("DOCKER_CONTEXT", None)
    _put_first_on_path(env, folder / "bin", programs)
    (folder / "daemon.json").write_text(json.dumps(config))
    with _gone_afterwards(folder), daemons.docker(folder, env, network):
        client = ("docker", "-H", host)
        version = run([*client, "version", "--format", "{{.Server.Version}}"], env=env).stdout.strip()
        engine = Engine(name, version, client, env, cdi_dirs, folder)
        try:
            yield engine
        finally:
            engine.remove_containers()


@contextmanager
def _gone_afterwards(folder: Path) -> Iterator[None]:
    try:
        yield
    finally:
        leftovers.clear(folder)


def _put_first_on_path(env: dict[str, str], folder: Path, programs: Mapping[str, Path]) -> None:
    folder.mkdir()
    for name, program in programs.items():
        (folder / name).symlink_to(program)
    env["PATH"] = f"{folder}:{env['PATH']}"


def _storage_driver(folder: Path) -> str:
    """overlay, but where the folder lies on one already (tests in a container)."""
    return (
        "vfs" if run(["stat", "--file-system", "--format=%T", str(folder)]).stdout.strip() == "overlayfs" else "overlay"
    )


def _containers_conf(folder: Path) -> str:
    # Podman asks for a million of each unless told, and lowers its own nproc to 32768 before the runtime sets it again;
    # a machine that withholds CAP_SYS_RESOURCE then refuses what is above.
    files = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1] % 2**63, 1048576)
    tasks = min(resource.getrlimit(resource.RLIMIT_NPROC)[1] % 2**63, 32768)
    # lock_type: the other type is one piece of shared memory for every Podman of the machine.
    return f"""
[containers]
netns = "none"
default_ulimits = ["nofile={files}:{files}", "nproc={tasks}:{tasks}"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
tmp_dir = "{folder}/tmp"
[network]
network_config_dir = "{folder}/networks"
"""
