"""A stage for the OCI runtime: the product installed and refreshed in private folders, and bundles that are started with

it, or with the bare runtime beside it, without any engine.
"""

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from real.harness import rootfs
from real.harness.commands import run
from real.harness.product import Product
from real.hook_stage import PYTHON, Outcome, busybox_rootfs, configuration

DRIVER, NEWER = "580.159.04", "590.10"
ONE, ALL = "NVIDIA_VISIBLE_DEVICES=0", "NVIDIA_VISIBLE_DEVICES=all"
EVERYTHING = "NVIDIA_DRIVER_CAPABILITIES=all"
RPRIVATE = ("rbind", "rprivate", "rw")
CAPABILITIES = ("CAP_MKNOD", "CAP_KILL", "CAP_SETUID", "CAP_SETGID", "CAP_DAC_OVERRIDE", "CAP_NET_BIND_SERVICE")
# Of the files that the system's Python has compiled.
MAGIC = bytes.fromhex(
    run([PYTHON, "-ISc", "import importlib.util; print(importlib.util.MAGIC_NUMBER.hex())"]).stdout.strip()
)
# crun wants one version of control groups, and this machine may have both: it gets a view of its own, and uses none.
_ONE_VERSION = 'mount -t cgroup2 none /sys/fs/cgroup && exec "$0" --cgroup-manager=disabled "$@"'
CRUN: tuple[str, ...] = ("unshare", "--mount", "--propagation", "private", "sh", "-c", _ONE_VERSION)


@dataclass(frozen=True)
class Private(Product):
    """The specification too is kept in the folder: no engine sees it."""

    @property
    def env(self) -> dict[str, str]:
        return {**super().env, "GPUDOCK_CDI_DIR": str(self.folder / "cdi")}


@dataclass
class Bundle:
    """A folder for the runtime: what the next start() writes into config.json, and the image."""

    folder: Path
    name: str | None = None  # of the container, else one of its own
    config: dict[str, Any] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        return self.folder / "rootfs"

    @property
    def file(self) -> Path:
        return self.folder / "config.json"

    @property
    def id(self) -> str:
        if self.name is not None:
            return self.name
        return f"rt-{hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:12]}"

    def written(self) -> dict[str, Any]:
        """config.json as the last start left it."""
        found: dict[str, Any] = json.loads(self.file.read_bytes())
        return found


@dataclass(frozen=True)
class Stage:
    folder: Path
    gpudock: Private

    @property
    def entry(self) -> Path:
        return self.gpudock.folder / "libexec/current/gpudock-runtime"

    @property
    def settings(self) -> Path:
        return self.entry.parent / "settings.json"

    def bundle(self, folder: Path, image: str = "small", *, linked: bool = False) -> Bundle:
        """A new bundle with a copy of a prepared image: small (a static program), tiny (glibc) or musl.

        `linked`: its files are links to the image's own: quicker, for containers that change no file in place.
        """
        made = Bundle(folder)
        made.folder.mkdir(parents=True, mode=0o755)
        run(["cp", "-al" if linked else "-a", str(self._image(image)), str(made.root)])
        return made

    def copy(self, folder: Path, **replaced: str) -> Path:
        """Another installation of the same start files, in which tests may break things; returns its entry.

        `replaced`: in the entry, text by text; names are RUNTIMES (the programs looked for) and PYTHON.
        """
        source = self.entry.parent.resolve()
        shutil.copytree(source, folder)
        folder.chmod(0o755)
        entry = folder / self.entry.name
        text = entry.read_text().replace(str(source), str(folder))
        if "RUNTIMES" in replaced:
            text = text.replace("for gd_name in runc crun;", f"for gd_name in {replaced['RUNTIMES']};")
        if "PYTHON" in replaced:
            text = text.replace("/usr/bin/python3", replaced["PYTHON"])
        entry.write_text(text)
        return entry

    def over_crun(self) -> tuple[str, ...]:
        """The runtime in front of crun."""
        entry = self.folder / "over-crun/gpudock-runtime"
        if not entry.exists():
            self.copy(entry.parent, RUNTIMES="crun")
        return (*CRUN, str(entry))

    def start(
        self,
        bundle: Bundle,
        command: Sequence[str] = ("/bin/true",),
        *,
        program: Sequence[str] | None = None,
        env: Iterable[str] = (ONE,),
        mounts: Iterable[tuple[Path | str, str]] = (),
        options: Sequence[str] = RPRIVATE,
        before: Sequence[str] = (),
        after: Sequence[str] = (),
        wrapper: Sequence[str] = (),
        write: bool = True,
        environment: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
        cwd: Path | None = None,
        relative: bool = False,
        **changes: Any,
    ) -> Outcome:
        """Run `command` as a container. `program`: the runtime, else ours over runc.

        `env`, `mounts` with their `options`, and `changes` go into config.json; `before` and `after` the operation go
        onto the command line. `relative`: the bundle is named so, for `cwd` holds it.
        """
        if write:
            bundle.config = config(command, env, mounts, options) | changes
            bundle.file.write_text(json.dumps(bundle.config))
        program = program or (str(self.entry),)
        root = self.folder / ("state-crun" if "unshare" in program else "state-runc")
        place = bundle.folder.name if relative else str(bundle.folder)
        argv = [*wrapper, *program, "--root", str(root), *before, "run", "--bundle", place, *after, bundle.id]
        return outcome(argv, env=environment, pass_fds=pass_fds, cwd=cwd)

    def quiet(self, *args: str) -> None:
        """The runtime with these arguments, for what goes on after it: nothing is read from it. It must succeed."""
        nothing = subprocess.DEVNULL
        subprocess.run([str(self.entry), *args], check=True, stdin=nothing, stdout=nothing, stderr=nothing, timeout=60)

    def call(self, *args: str, **options: Any) -> Outcome:
        """The runtime with these arguments."""
        return outcome([str(self.entry), *args], **options)

    def bare(self, bundle: Bundle, *args: Any, **options: Any) -> Outcome:
        """As start, by runc itself."""
        return self.start(bundle, *args, program=("runc",), **options)

    def _image(self, name: str) -> Path:
        image = self.folder / "images" / name
        if not image.exists():
            image.parent.mkdir(exist_ok=True)
            staging = image.with_name(f"{name}.{threading.get_ident()}")
            {"small": _small, **rootfs.TREES}[name](staging)
            with contextlib.suppress(OSError):  # another thread was faster
                staging.rename(image)
        return image


def outcome(argv: Sequence[str], **options: Any) -> Outcome:
    done = subprocess.run(
        argv,
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=60,
        **options,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def config(
    command: Sequence[str],
    env: Iterable[str] = (),
    mounts: Iterable[tuple[Path | str, str]] = (),
    options: Sequence[str] = RPRIVATE,
) -> dict[str, Any]:
    """As an engine would write it: /dev of its own, a control group that lets nothing through but what is named."""
    made = configuration(command, [], list(env))
    made["process"]["capabilities"] = {kind: [*CAPABILITIES] for kind in ("bounding", "effective", "permitted")}
    made["mounts"].append(
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=65536k"]}
    )
    made["mounts"] += [
        {"destination": place, "type": "bind", "source": str(source), "options": [*options]} for source, place in mounts
    ]
    made["linux"]["resources"] = {"devices": [{"allow": False, "access": "rwm"}]}
    return made


def build(folder: Path) -> Stage:
    """Two simulated H200, refreshed; nothing outside of `folder`."""
    folder.mkdir(mode=0o755)
    for above in (folder, folder.parent):
        above.chmod(above.stat().st_mode | 0o711)
    made = Stage(folder, Private(folder / "gpudock", folder / "gpus"))
    made.gpudock.simulate()
    made.gpudock.refresh()
    return made


def refresh_by(stage: Stage, script: str) -> Path:
    """Let the runtime ask for a refresh by a program of ours: a shell script in which $GPUDOCK is the product."""
    program = stage.folder / "refresh"
    product = f"{sys.executable} -m gpudock"
    program.write_text(f"#!/bin/sh\nGPUDOCK='{product}' GPUS='{stage.gpudock.gpus}'\n{script}\n")
    program.chmod(0o755)
    settings = json.loads(stage.settings.read_text())
    settings["refresh"] = [str(program), "refresh", "--quiet"]
    stage.settings.write_text(json.dumps(settings))
    return program


def _small(tree: Path) -> None:
    """The static program, and just enough for a loader's files to be written: the loader itself is never run."""
    busybox_rootfs(tree)
    for applet in ("echo", "grep", "sleep", "kill", "mknod", "env", "stat", "dd", "test", "find"):
        (tree / "bin" / applet).symlink_to("busybox")
    for folder in ("dev", "sys", "tmp", "run", "lib64", "usr/lib/x86_64-linux-gnu", "etc/ld.so.conf.d"):
        (tree / folder).mkdir(parents=True, exist_ok=True)
    (tree / "lib64/ld-linux-x86-64.so.2").touch()
    (tree / "etc/ld.so.conf").write_text("include /etc/ld.so.conf.d/*.conf\n")
