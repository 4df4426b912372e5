"""The part of tools/gpu_machine.py that trains in an environment: a folder with a gpudock.yaml, made and started by
gpudock itself, with this machine's PyTorch, on its GPUs, within limits that are read back from the kernel.

No registry is there: the base is the packed image, with little more than a shell, and Python is this machine's own.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

BASE = "tiny"
PERSON = 1000  # whose environment it is
RECIPE = f"""name: training
base: {BASE}
gpus: all
user: {{shell: sh}}
volumes: ["/usr:/host/usr:ro", "/opt:/opt:ro"]
resources: {{memory: 12g, memory_swap: 13g, cpus: 1.5, cpuset: "0-1", shm_size: 1g, pids: 2000}}
"""
ASKED = {
    "memory": 12 << 30,
    "memory_swap": 13 << 30,
    "shm": 1 << 30,
    "cpus": 1.5,
    "cpuset": "0-1",
    "affinity": [0, 1],
    "pids": 2000,
}
_USABLE = "import torch; torch.zeros(1, device='cuda')"


def pack(tar: Path) -> None:
    """The tiny image with what an environment's entry needs: setpriv, and a shell that runs it, where busybox's runs
    its own, which cannot change the user.
    """
    from real.harness import archive, rootfs
    from real.harness.commands import run

    with tempfile.TemporaryDirectory(prefix="gpudock-image-") as temp:
        tree = Path(temp, BASE)
        rootfs.tiny(tree)
        for name, place in (("setpriv", "bin/setpriv"), ("dash", "bin/sh")):
            program = archive.installed(name)
            (tree / place).unlink(missing_ok=True)
            shutil.copy(program, tree / place)
            for line in run(["ldd", str(program)]).stdout.splitlines():
                library = Path(line.partition("=> ")[2].partition(" (")[0])
                target = tree / "lib/x86_64-linux-gnu" / library.name
                if library.is_file() and not target.exists():
                    shutil.copy(library, target)
        rootfs.pack(tree, tar)


def measured(
    call: Callable[..., CompletedProcess[str]], env: Mapping[str, str], python: list[str], *, gpu: bool
) -> dict[str, Any]:
    """`call`: gpudock with words, and variables besides. `python`: this machine's interpreter, as a container finds it.

    Never raises: what was measured before is worth keeping.
    """
    from real.harness import training

    whose = _whose() if gpu else f"user {PERSON}"
    uid = PERSON if whose == f"user {PERSON}" else 0
    sudo = {"SUDO_UID": str(uid), "SUDO_GID": str(uid)}
    folder = Path(tempfile.mkdtemp(prefix="gpudock-training-", dir="/dev/shm"))
    (folder / "gpudock.yaml").write_text(RECIPE)
    for each in (folder, folder / "gpudock.yaml"):
        os.chown(each, uid, uid)
    at = ("-C", str(folder))

    def gpudock(*args: str, check: bool = True) -> CompletedProcess[str]:
        return call(*args, check=check, more=sudo)

    try:
        gpudock("env", "build", *at)
        up = gpudock("up", *at)
        found = training.measured(gpudock, lambda name: _pid(env, name), folder, python, uid=uid, asked=ASKED)
    except (SystemExit, OSError, ValueError, subprocess.SubprocessError) as error:
        return {"whose": whose, "differences": [f"it failed: {error}"]}
    finally:
        gpudock("down", *at, check=False)
        shutil.rmtree(folder, ignore_errors=True)
    found["said"] = [*up.stderr.splitlines(), *found["said"]]
    if gpu and found["training"]["device"] != "cuda":
        found["differences"].append("it did not train on the GPU")
    return {"whose": whose, **found}


def _whose() -> str:
    """An ordinary person's, where this machine's PyTorch is open to everybody."""
    tried = subprocess.run(
        [sys.executable, "-c", _USABLE],
        user=PERSON,
        group=PERSON,
        extra_groups=[],
        cwd="/",
        env={"PATH": os.environ["PATH"], "HOME": "/tmp"},
        capture_output=True,
        text=True,
        check=False,
    )
    if not tried.returncode:
        return f"user {PERSON}"
    last = (tried.stderr.strip().splitlines() or ["it does not say why"])[-1]
    return f"root: user {PERSON} cannot use PyTorch here: {last}"


def _pid(env: Mapping[str, str], name: str) -> int:
    argv = ["docker", "-H", env["DOCKER_HOST"], "inspect", "--format", "{{.State.Pid}}", name]
    return int(subprocess.run(argv, env=dict(env), capture_output=True, text=True, check=True).stdout)
