"""Environments on real engines: a network of their own, an image with Python and wheels, gpudock as a user calls it."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess

from real.harness import archive, cache, engines
from real.harness.commands import CommandFailed, run
from real.harness.engines import Engine

BASE = "localhost/gpudock-test/notebook:1"
_SYSTEM = (
    "apt",
    "python3",
    "python3-pip",
    "python3-venv",
    "ca-certificates",
    "openssh-server",
    "procps",
    "tmux",
    "x11-apps",
    "xauth",
)
_WHEELS = ("jupyterlab", "tensorboard", "setuptools<81", "pip", "cowsay")
UID, GID = 1234, 1235  # whose environments these are, by sudo
_VERSION = "import platform; print(platform.python_version())"
_WITHOUT = ("man", "locale", "doc", "info")


@dataclass(frozen=True)
class Network:
    """A network namespace that reaches the package archives, whose bridges and rules go with it."""

    pid: int

    @property
    def words(self) -> tuple[str, ...]:
        return ("nsenter", f"--net=/proc/{self.pid}/ns/net")


@contextmanager
def network(folder: Path) -> Iterator[Network]:
    folder.mkdir(parents=True, exist_ok=True)
    holding = ["unshare", "--net", "sh", "-c", "ip link set lo up && exec sleep infinity"]
    with subprocess.Popen(holding) as holder:
        made = Network(holder.pid)
        _until(lambda: run([*made.words, "ip", "-br", "addr"]).stdout.count("127.0.0.1"), "a loopback")
        words = ["slirp4netns", "--configure", "--mtu=65520", "--disable-host-loopback", str(holder.pid), "tap0"]
        with (folder / "slirp.log").open("w") as log, subprocess.Popen(words, stdout=log, stderr=log) as slirp:
            try:
                _until(lambda: "10.0.2." in run([*made.words, "ip", "-br", "addr"]).stdout, "a way out")
                yield made
            finally:
                slirp.terminate()
                holder.kill()


def _until(look: Callable[[], object], what: str, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not look():
        if time.monotonic() > end:
            raise CommandFailed(f"there is not {what} after {seconds} s")
        time.sleep(0.1)


@dataclass(frozen=True)
class Stage:
    engine: Engine
    network: Network
    folder: Path
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        own = {
            "GPUDOCK_STATE_DIR": f"{self.folder}/state",
            "GPUDOCK_RUN_DIR": f"{self.folder}/run",
            "GPUDOCK_LIBEXEC_DIR": f"{self.folder}/libexec",
            "GPUDOCK_ENGINE": "podman" if self.engine.name == "podman" else "docker",
            "HOME": str(self.folder),
            "SUDO_UID": str(UID),
            "SUDO_GID": str(GID),
        }
        return {**self.engine.env, **own, **self.variables}

    def __call__(
        self,
        *args: str,
        at: Path | None = None,
        check: bool = True,
        stdin: str = "",
        env: Mapping[str, str] | None = None,
    ) -> CompletedProcess[str]:
        """gpudock ARGS, in a project's folder."""
        words = [*self.network.words, sys.executable, "-m", "gpudock", *args]
        done = subprocess.run(
            words,
            cwd=at,
            env={**self.env, **(env or {})},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if check and done.returncode:
            raise CommandFailed(f"gpudock {' '.join(args)}\nended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def client(self, *args: str, check: bool = True) -> CompletedProcess[str]:
        """The engine's own client, in the same network."""
        return run([*self.network.words, *self.engine.argv, *args], env=self.engine.env, check=check)

    def project(self, name: str, recipe: str, uid: int = UID) -> Path:
        folder = self.folder / "projects" / name
        folder.mkdir(parents=True)
        (folder / "gpudock.yaml").write_text(recipe)
        for each in (folder, folder / "gpudock.yaml"):
            os.chown(each, uid, uid)
        return folder

    def get(self, url: str) -> str:
        fetch = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=20).read().decode(), end='')"
        return run([*self.network.words, sys.executable, "-c", fetch, url]).stdout

    def remove_all(self) -> None:
        left = self.client("ps", "--all", "--quiet").stdout.split()
        if left:
            self.client("rm", "--force", *left, check=False)


@contextmanager
def docker(folder: Path) -> Iterator[Stage]:
    """Docker with CDI, a bridge and published ports, in a network of its own."""
    with network(folder) as net:
        (folder / "programs").mkdir()
        wrapped = folder / "programs/dockerd"
        real = engines.docker28_programs()["dockerd"]
        wrapped.write_text(_DOCKERD.format(pid=net.pid, real=real))
        wrapped.chmod(0o755)
        with engines.docker28(folder / "docker", beside={"dockerd": wrapped}) as engine:
            yield from _staged(engine, net, folder)


# The harness's flags keep the machine's network as it is; in a network of its own there is nothing to keep.
_DOCKERD = """#!/bin/sh
for word; do
    shift
    case $word in --bridge=*|--iptables=*|--ip-forward=*|--ip-masq=*) ;; *) set -- "$@" "$word" ;; esac
done
exec nsenter --net=/proc/{pid}/ns/net {real} "$@"
"""


@contextmanager
def podman(folder: Path) -> Iterator[Stage]:
    engines.check_runroot(f"{folder}/podman/run")
    with network(folder) as net, engines.podman(folder / "podman") as engine:
        conf = folder / "podman/containers.conf"
        conf.write_text(conf.read_text().replace('netns = "none"', 'netns = "bridge"'))
        yield from _staged(engine, net, folder)


def _staged(engine: Engine, net: Network, folder: Path) -> Iterator[Stage]:
    stage = Stage(engine, net, folder)
    (folder / "projects").mkdir()
    (folder / "projects").chmod(0o755)
    engine.run("import", str(base()), BASE)
    try:
        yield stage
    finally:
        stage.remove_all()


def base() -> Path:
    """The base image's files as a tar in the cache: half a minute on first use."""
    key = cache.key("2", *_SYSTEM, *_WHEELS, archive.codename())
    return cache.kept("images/notebook", key, _make, suffix=".tar")


def _make(staging: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="gpudock-image-") as temp:
        tree = Path(temp, "tree")
        without = [f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in _WITHOUT]
        words = [
            "mmdebstrap",
            "--quiet",
            "--mode=root",
            "--variant=minbase",
            f"--include={','.join(_SYSTEM)}",
            *without,
        ]
        run([*words, archive.codename(), str(tree), archive.source()], timeout=600)
        version = run(["chroot", str(tree), "python3", "-c", _VERSION]).stdout.strip()  # wheels may need a newer one
        pip = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--only-binary=:all:",
            f"--python-version={version}",
            "--dest",
            f"{tree}/opt/wheels",
        ]
        run([*pip, *_WHEELS], timeout=600)
        (tree / "etc/pip.conf").write_text("[global]\nno-index = true\nfind-links = /opt/wheels\n")
        run(["tar", "--numeric-owner", "--exclude=./dev/*", "-C", str(tree), "-cf", str(staging), "."])


@contextmanager
def quiet_networks() -> Iterator[None]:
    """What podman's networks leave of themselves on the machine goes again."""
    folders = [Path("/var/lib/cni"), Path("/run/cni")]
    new = [folder for folder in folders if not folder.exists()]
    before = set(Path("/var/lib/cni/networks").glob("*"))
    yield
    for folder in new:
        shutil.rmtree(folder, ignore_errors=True)
    for left in set(Path("/var/lib/cni/networks").glob("*")) - before:
        shutil.rmtree(left)
