"""A stage for the hook: it installed as root would have it, a driver tree with plans, and bundles for runc and crun."""

import hashlib
import itertools
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gpudock
from gpudock.cdi import project
from gpudock.start import command, key
from real.harness import archive, leftovers
from real.harness.commands import run

Tree = Callable[[Path], None]
PYTHON = "/usr/bin/python3"
FLAGS = command.FLAGS
SOURCES = Path(gpudock.__file__).parent
MOUNT_POINT = "/usr/local/nvidia"
LIBRARY = "libgpudocktest.so.1"
RPRIVATE = ("rbind", "rprivate", "rw")
LINKS = {
    "/usr/bin/nvidia-smi": "bin/nvidia-smi",
    "/etc/OpenCL/vendors/nvidia.icd": "share/nvidia.icd",
    "/usr/share/vulkan/icd.d/nvidia_icd.json": "share/nvidia_icd.json",
}


def install(folder: Path) -> Path:
    """The files that refresh installs, with compiled ones beside them; returns the hook's entry."""
    package = folder / "gpudock"
    package.mkdir(parents=True)
    for name in ("__init__.py", "errors.py"):
        shutil.copy(SOURCES / name, package / name)
    for room in ("plan", "start"):
        shutil.copytree(SOURCES / room, package / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(SOURCES / "start/launch.py", folder / "hook.py")
    shutil.copy(SOURCES / "start/entry.py", folder / "entry.py")
    run([PYTHON, "-m", "compileall", "-q", str(package)])
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder / "hook.py"


def driver_tree(folder: Path) -> None:
    """A library that answers, a program and configuration files: what a variant of the driver tree looks like."""
    for part in ("bin", "lib64", "share"):
        (folder / part).mkdir(parents=True)
    source = folder.parent / "library.c"
    source.write_text("int gpudock_test_answer(void) { return 42; }\n")
    run(["cc", "-shared", "-fPIC", f"-Wl,-soname,{LIBRARY}", "-o", str(folder / "lib64" / LIBRARY), str(source)])
    (folder / "bin/nvidia-smi").write_text("#!/bin/sh\necho simulated\n")
    (folder / "bin/nvidia-smi").chmod(0o755)
    for name in ("nvidia.icd", "nvidia_icd.json"):
        (folder / "share" / name).write_text(name)


def plan(tree: Path, **changes: Any) -> dict[str, Any]:
    """A plan of this very machine with one variant; `changes` replace fields of it, or of its key."""
    library = key.identity(str(tree / "lib64" / LIBRARY))
    fields: dict[str, Any] = {"proc": "/proc", "sys": "/sys", "boot_id": key.read_boot_id(), "module": ""}
    fields |= {"majors": {}, "gpus": {}, "mig_minors": {}, "files": [library]}
    fields |= {name: changes.pop(name) for name in list(changes) if name in fields}
    variant = {
        "capabilities": ["compute", "utility"],
        "folder": str(tree),
        "drm": False,
        "nodes": [],
        "mounts": [{"host": str(tree), "container": MOUNT_POINT, "options": ["ro", "rbind"]}],
        "libraries": [{"flags": 0x0303, "soname": LIBRARY, "path": f"{MOUNT_POINT}/lib64/{LIBRARY}"}],
        "links": [{"path": path, "target": f"{MOUNT_POINT}/{target}"} for path, target in LINKS.items()],
    }
    whole = {
        "format": 1,
        "driver": "550.1",
        "cuda": "12.4",
        "simulated": True,
        "wsl": False,
        "driver_root": "/",
        "dev_root": "/",
        "key": fields,
        "gpus": [],
    }
    whole |= {"variants": {"compute.utility": variant}, "extras": {}, "library_links": False}
    return whole | changes


# crun wants one version of control groups, and this machine may have both: it gets a view of its own, and uses none.
_ONE_VERSION = 'mount -t cgroup2 none /sys/fs/cgroup && exec crun --cgroup-manager=disabled "$@"'
_CGROUPS = itertools.count(1)
RUNTIMES = {
    "runc": ["runc"],
    "crun": ["unshare", "--mount", "--propagation", "private", "sh", "-c", _ONE_VERSION, "crun"],
}


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Stage:
    folder: Path  # of the session, below /tmp or the like
    hook: Path
    tree: Path

    def write_plan(self, name: str = "plan", **changes: Any) -> Path:
        path = self.folder / "plans" / f"{name}.json"
        path.parent.mkdir(mode=0o755, exist_ok=True)
        path.write_text(json.dumps(plan(self.tree, **changes)))
        path.chmod(0o644)
        return path

    def command(self, plan_file: Path, *before: str) -> dict[str, Any]:
        """The hook as a CDI specification gives it to the runtime."""
        argv = (PYTHON, "python3", *FLAGS, str(self.hook), *before, "--plan", str(plan_file))
        hook: dict[str, Any] = {**project._hook(argv)}
        assert hook.pop("hookName") == "createContainer", "where `start` puts it"
        return hook

    def start(
        self,
        runtime: str,
        bundle: Path,
        command: Sequence[str] = ("/bin/true",),
        *,
        mounts: Sequence[tuple[Path, str]] = (),
        env: Sequence[str] = (),
        plan_file: Path | None = None,
        tree: bool = True,
        dev: bool = False,
        hook: bool = True,
        lookup: str = "walk",
        options: Sequence[str] = RPRIVATE,
        wrapper: Sequence[str] = (),
        **changes: Any,
    ) -> Outcome:
        """Run `command` in the bundle's rootfs with the driver tree mounted and the hook in place.

        `dev`: with a /dev of its own, as engines make it. `options`: of `mounts`. `wrapper`: a command that runs the
        runtime. `changes` replace parts of the configuration.
        """
        plan_file = plan_file or self.write_plan()
        config = configuration(command, [(self.tree, MOUNT_POINT)] if tree else [], env)
        config["mounts"] += binds(mounts, options)
        config["hooks"] = {"createContainer": [self.command(plan_file, "--lookup", lookup)]} if hook else {}
        if dev:
            config["mounts"].insert(1, {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"})
        config |= changes
        (bundle / "config.json").write_text(json.dumps(config))
        name = f"gpudock-{hashlib.sha256(os.fsencode(bundle)).hexdigest()[:12]}"
        argv = [
            *wrapper,
            *RUNTIMES[runtime],
            "--root",
            str(self.folder / f"state-{runtime}"),
            "run",
            "--bundle",
            str(bundle),
            name,
        ]
        done = subprocess.run(
            argv, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=60
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    def alone(self, bundle: Path, name: str = "alone") -> tuple[bytes, Path]:
        """State and plan for calling the hook by itself: the folder in the rootfs plays the mounted tree."""
        (bundle / "config.json").write_text(json.dumps(configuration(["/bin/true"], [], [])))
        whole = plan(self.tree)
        (variant,) = whole["variants"].values()
        variant["folder"] = str(bundle / "rootfs" / MOUNT_POINT[1:])
        Path(variant["folder"]).mkdir(parents=True, exist_ok=True)
        state = {"ociVersion": "1.0.2", "id": name, "status": "creating", "pid": 1, "bundle": str(bundle)}
        return json.dumps(state).encode(), self.write_plan(name, variants=whole["variants"])

    def call(
        self, state: bytes, plan_file: Path | None = None, *, env: Mapping[str, str] | None = None, **options: Any
    ) -> Outcome:
        """The hook alone, as the runtime starts it, with `state` on its standard input."""
        command = self.command(plan_file or self.write_plan())
        environment = dict(entry.split("=", 1) for entry in command["env"]) if env is None else env
        argv = [command["path"], *command["args"][1:]]
        done = subprocess.run(
            argv, input=state, check=False, capture_output=True, env=environment, timeout=30, **options
        )
        return Outcome(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def binds(mounts: Sequence[tuple[Path, str]], options: Sequence[str] = RPRIVATE) -> list[dict[str, Any]]:
    return [
        {"destination": place, "type": "bind", "source": str(source), "options": [*options]} for source, place in mounts
    ]


def configuration(command: Sequence[str], mounts: Sequence[tuple[Path, str]], env: Sequence[str]) -> dict[str, Any]:
    return {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": list(command),
            "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", *env],
            "cwd": "/",
        },
        "root": {"path": "rootfs"},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}, *binds(mounts)],
        "annotations": {"run.oci.hooks.stderr": "/dev/stderr"},  # crun: else what a hook says is lost
        "linux": {
            # By the container's name it would be, and another session's or the machine's may have that name.
            "cgroupsPath": f"/{leftovers.CGROUP}/{next(_CGROUPS)}",
            "namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount", "network")],
        },
    }


def busybox_rootfs(tree: Path) -> None:
    """The smallest image: one static program."""
    for folder in ("bin", "etc", "proc", "usr/bin", "usr/local/nvidia"):
        (tree / folder).mkdir(parents=True)
    shutil.copy(archive.installed("busybox"), tree / "bin/busybox")
    for applet in ("true", "sh", "cat", "ls", "id", "readlink"):
        (tree / "bin" / applet).symlink_to("busybox")


def digest(folder: Path) -> str:
    """Of every name, type, mode, link and content below a folder: equal when nothing in it was touched."""
    lines = []
    for path in sorted(folder.rglob("*")):
        found = path.lstat()
        content = os.readlink(path) if path.is_symlink() else ""
        if path.is_file() and not path.is_symlink():
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        lines.append(f"{path} {found.st_mode:o} {found.st_uid}:{found.st_gid} {found.st_mtime_ns} {content}")
    return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()


def build(folder: Path) -> Stage:
    """Everything that bundles need, in a new folder."""
    folder.mkdir(mode=0o755)
    tree = folder / "tree"
    driver_tree(tree)
    return Stage(folder, install(folder / "libexec"), tree)
