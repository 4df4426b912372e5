"""Podman of a user who is not root, with everything that it keeps in one folder."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

from real.harness import engines, images, subordinate
from real.harness.commands import run

_CONTAINERS = """\
[containers]
netns = "none"
default_ulimits = []
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""


@dataclass(frozen=True)
class Rootless:
    folder: Path

    @property
    def before(self) -> tuple[str, ...]:
        """The words that stand before a command which is to run as the user."""
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "XDG_RUNTIME_DIR": str(self.folder / "run"),
            "CONTAINERS_CONF": str(self.folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(self.folder / "storage.conf"),
        }
        who = ("setpriv", f"--reuid={subordinate.UID}", f"--regid={subordinate.GID}", "--clear-groups")
        return ("env", "-i", f"--chdir={self.folder}", *(f"{name}={value}" for name, value in env.items()), *who)

    def __call__(self, *args: str, check: bool = True) -> CompletedProcess[str]:
        """podman ARGS, as the user."""
        return run([*self.before, "podman", *args], check=check)


@contextmanager
def rootless_podman(root: Path) -> Iterator[Rootless]:
    """In a new folder of `root`, which others can enter meanwhile; it has the image localhost/tiny."""
    mode = root.stat().st_mode
    root.chmod(0o755)
    folder = root / "user"
    engines.check_runroot(f"{folder}/run/containers")
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
    shutil.rmtree(folder)
    root.chmod(mode)
