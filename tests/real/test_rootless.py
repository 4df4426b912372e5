"""Podman of a user who is not root: by the machine's CDI specification, and by the runtime."""

import os
import re
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from real.harness import images, runtimes, subordinate
from real.harness.commands import run
from real.harness.product import Product, product

pytestmark = pytest.mark.real

LOADED = re.compile(r"^(\S+) ok ", re.MULTILINE)
LOOK = f"{runtimes.LOOK}; stat -c '%u:%g %n' /etc/ld.so.cache /etc/ld.so.conf.d/00-gpudock.conf /usr/bin/nvidia-smi"
_CONTAINERS = """\
[containers]
netns = "none"
default_ulimits = []
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""


@pytest.fixture(scope="module")
def gpudock(session_root: Path) -> Iterator[Product]:
    mode = session_root.stat().st_mode
    session_root.chmod(0o755)
    with product(session_root) as made:
        yield made
    session_root.chmod(mode)


@dataclass(frozen=True)
class Rootless:
    folder: Path

    def __call__(self, *args: str, check: bool = True) -> CompletedProcess[str]:
        """podman ARGS, as the user."""
        who = ("setpriv", f"--reuid={subordinate.UID}", f"--regid={subordinate.GID}", "--clear-groups")
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "XDG_RUNTIME_DIR": str(self.folder / "run"),
            "CONTAINERS_CONF": str(self.folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(self.folder / "storage.conf"),
        }
        return run(["env", f"--chdir={self.folder}", *who, "podman", *args], env=env, check=check)


@pytest.fixture(scope="module")
def rootless(gpudock: Product, session_root: Path) -> Iterator[Rootless]:
    del gpudock  # its folder is open to others meanwhile
    folder = session_root / "rootless"
    (folder / "run").mkdir(parents=True, mode=0o700)
    (folder / "containers.conf").write_text(_CONTAINERS)
    (folder / "storage.conf").write_text(
        f'[storage]\ndriver = "vfs"\ngraphroot = "{folder}/graph"\nrunroot = "{folder}/state"\n'
    )
    shutil.copy(images.tar("tiny"), folder / "tiny.tar")
    for path in (folder, *folder.iterdir()):
        os.chown(path, subordinate.UID, subordinate.GID)
    with subordinate.ids():
        podman = Rootless(folder)
        podman("import", str(folder / "tiny.tar"), "localhost/tiny")
        yield podman
        podman("unshare", "rm", "-rf", str(folder / "graph"), check=False)
        podman("system", "migrate", check=False)  # ends the process that keeps the user namespace


@pytest.fixture
def nodes(gpudock: Product) -> Iterator[None]:
    """The simulated nodes at their usual places too: rootless podman 4 mounts those, whatever else a specification says."""
    made = []
    for source in sorted((gpudock.gpus / "dev").glob("nvidia*")):
        found = source.stat()
        if stat.S_ISCHR(found.st_mode):
            place = Path("/dev", source.name)
            os.mknod(place, stat.S_IFCHR | 0o666, found.st_rdev)
            place.chmod(0o666)
            made.append(place)
    yield
    for place in made:
        place.unlink()


def check(done: CompletedProcess[str]) -> None:
    assert LOADED.findall(done.stdout) == ["libcuda.so.1", "libnvidia-ml.so.1"]
    assert set(re.findall(r"\bnvidia\d+\b", done.stdout)) == {"nvidia0"}
    assert re.findall(r"^(\d+:\d+) /", done.stdout, re.MULTILINE) == ["0:0"] * 3


@pytest.mark.usefixtures("nodes")
def test_by_cdi(rootless: Rootless) -> None:
    check(rootless("run", "--rm", "--device", "nvidia.com/gpu=0", "localhost/tiny", "/bin/sh", "-c", LOOK))


def test_by_the_runtime(rootless: Rootless, gpudock: Product) -> None:
    runtime = ("--runtime", str(runtimes.path(gpudock)))
    asked = ("-e", "NVIDIA_VISIBLE_DEVICES=0")
    check(rootless(*runtime, "run", "--rm", *asked, "localhost/tiny", "/bin/sh", "-c", LOOK))


def test_a_stale_plan_is_refused_and_not_refreshed_by_a_user(rootless: Rootless, gpudock: Product) -> None:
    gpudock("simulate", "upgrade", str(gpudock.gpus), "590.10")
    try:
        runtime = ("--runtime", str(runtimes.path(gpudock)))
        asked = ("-e", "NVIDIA_VISIBLE_DEVICES=0")
        done = rootless(*runtime, "run", "--rm", *asked, "localhost/tiny", "/bin/true", check=False)
        assert done.returncode != 0
        assert "sudo gpudock refresh" in done.stderr
    finally:
        gpudock.simulate()
        gpudock.refresh()
