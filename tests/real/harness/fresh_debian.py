"""A fresh Debian 12 in a root of its own, with processes of its own: nothing of it is left when it ends. apt works in it,
with the machine's own archive and network; there is no systemd, as in a container or a chroot.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from real.harness import archive, cache
from real.harness.commands import run

SUITE = "bookworm"
REPOSITORY = Path(__file__).parents[3]
# Reaps what loses its parent, as an init does: a service script would else wait for zombies.
_INIT = "import os, time\nwhile True:\n  try: os.wait()\n  except ChildProcessError: time.sleep(0.05)"
# Docker leaves the machine's network as it is.
DAEMON_JSON = '{\n  "bridge": "none",\n  "iptables": false,\n  "ip-forward": false,\n  "ip-masq": false\n}\n'
_SETUP = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
cd "$1"
tar --extract --file "$6" --exclude='./dev/*'
rm -rf etc/apt/sources.list etc/apt/sources.list.d
for each in /etc/apt/sources.list /etc/apt/sources.list.d /etc/apt/auth.conf.d /etc/apt/apt.conf.d; do
    [ ! -e $each ] || cp -r $each etc/apt/
done
rm -f etc/apt/apt.conf.d/docker-*
cp /etc/resolv.conf etc/resolv.conf
mkdir etc/docker
printf '%s' "$7" >etc/docker/daemon.json
printf 'ulimit() { :; }\n' >etc/default/docker # a container may not raise limits, and the service script wants to
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
for each in run tmp var/lib/docker; do mkdir -p $each; mount -t tmpfs -o mode=755 tmpfs $each; done
chmod 1777 tmp
for each in archives lists; do mkdir -p "$2/$each/partial"; done
mount --bind "$2/archives" var/cache/apt/archives
mount --bind "$2/lists" var/lib/apt/lists
for each in "$3" "$4"; do mkdir -p ".$each"; mount --bind "$each" ".$each"; mount -o remount,bind,ro ".$each"; done
exec chroot . /usr/bin/python3 -c "$5"
"""


def tree() -> Path:
    """The packed root, made on first use (a minute or more)."""
    key = cache.key(SUITE, archive.mirror(), "python3")
    return cache.kept("fresh/debian", key, _make, ".tar")


def _make(staging: Path) -> None:
    run(
        [
            *("mmdebstrap", "--variant=minbase", "--include=python3,ca-certificates", "--quiet"),
            *('--aptopt=Acquire::Check-Valid-Until "false"', "--format=tar", SUITE, str(staging), archive.mirror()),
        ],
        timeout=900,
    )


@dataclass(frozen=True)
class Machine:
    root: Path
    pid: int  # of its init

    def argv(self, *words: str) -> list[str]:
        enter = ["nsenter", f"--target={self.pid}", "--mount", "--pid", "--root", "--wdns=/"]
        return [*enter, "/usr/bin/env", "-i", *(f"{name}={value}" for name, value in self.environment.items()), *words]

    @property
    def environment(self) -> Mapping[str, str]:
        packages = next(path for path in sys.path if path.endswith("site-packages"))
        return {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root",
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": f"{REPOSITORY}/src:{packages}",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def run(self, *words: str, check: bool = True, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        return run(self.argv(*words), check=check, timeout=timeout)

    def gpudock(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run("/usr/bin/python3", "-m", "gpudock", *words, check=check)

    def packages(self) -> list[str]:
        """Every package that dpkg knows of, with its state: also of those whose settings are left.

        Without versions: where the archive has a newer one, apt takes it for what a new package wants, and keeps it.
        """
        return self.run("dpkg-query", "-W", "-f", "${Package} ${Status}\\n").stdout.splitlines()


@contextmanager
def started(folder: Path) -> Iterator[Machine]:
    root = folder / "root"
    root.mkdir(parents=True)
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    words = [
        str(root),
        str(cache.FOLDER / "fresh/apt"),
        str(REPOSITORY / "src"),
        packages,
        _INIT,
        str(tree()),
        DAEMON_JSON,
    ]
    holder = subprocess.Popen(
        ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", _SETUP, "sh", *words],
        start_new_session=True,
    )
    try:
        yield Machine(root, _init(holder))
    finally:
        holder.kill()  # and with it its init, and with that every process in there
        holder.wait()
        _unmounted(root)
        shutil.rmtree(root)


def _init(holder: "subprocess.Popen[bytes]") -> int:
    children = Path(f"/proc/{holder.pid}/task/{holder.pid}/children")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for child in children.read_text().split():
            if os.readlink(f"/proc/{child}/exe").endswith("python3.11"):
                return int(child)
        time.sleep(0.05)
    raise AssertionError("the fresh root does not start")


def _unmounted(root: Path) -> None:
    """Its mounts were seen by its own processes only; a folder that is still busy is a leftover."""
    deadline = time.monotonic() + 10
    while str(root) in Path("/proc/self/mounts").read_text():
        assert time.monotonic() < deadline, "the fresh root's mounts are seen outside"
        time.sleep(0.05)
