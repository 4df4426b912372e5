"""make demo: the main job on this machine, with its GPUs or with two simulated ones. Leaves nothing behind.

Podman runs with its storage in a temporary folder; driver tree, plan and start files are below that folder too. Only
the CDI specification has to be where engines look, and is taken away at the end.
"""

import os
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from real.harness import engines, rootfs
from real.harness.commands import CommandFailed, run
from real.harness.engines import Engine
from real.harness.product import SPEC, Product

IMAGE = "localhost/gpudock-demo"


def say(text: str) -> None:
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)


def show(product: Product, env: dict[str, str], *args: str, expect: int = 0) -> None:
    """Run gpudock as a user would, with the command in front of what it prints."""
    print("$ gpudock " + shlex.join(args).replace(str(product.folder.parent), "$DEMO"), flush=True)
    done = product(*args, check=False, env=env)
    for line in (done.stdout + done.stderr).rstrip().splitlines():
        print("  " + line)
    if done.returncode != expect:
        raise CommandFailed(f"the command above ended with {done.returncode}, not {expect}")


def image(engine: Engine, folder: Path) -> str:
    """A glibc image of a few MB, made from this machine's own files: no registry is needed."""
    rootfs.tiny(folder / "image")
    rootfs.pack(folder / "image", folder / "image.tar")
    engine.run("import", str(folder / "image.tar"), IMAGE)
    return IMAGE


@contextmanager
def any_engine(folder: Path) -> Iterator[Engine]:
    """Podman, in a folder of its own; else the Docker that is running. Raises CommandFailed when neither can do CDI."""
    if shutil.which("podman"):
        with engines.podman(folder / "podman") as engine:
            yield engine
        return
    folders = run(["docker", "info", "--format", "{{json .CDISpecDirs}}"], check=False)
    if folders.returncode or '"' not in folders.stdout:
        raise CommandFailed("there is no podman, and no running docker with CDI: install podman")
    version = run(["docker", "version", "--format", "{{.Server.Version}}"]).stdout.strip()
    engine = Engine("docker", version, ("docker",), dict(os.environ), engines.CDI_DIRS, folder)
    try:
        yield engine
    finally:
        engine.run("rmi", "--force", IMAGE, check=False)


def demo(folder: Path) -> None:
    real = os.path.exists("/proc/driver/nvidia/version")
    product = Product(folder / "gpudock", folder / "gpus")
    host = () if real else ("--simulated", str(product.gpus))
    with any_engine(folder) as engine:
        say(f"1. An image without any NVIDIA file, in {engine.name} {engine.version}")
        reference = image(engine, folder)
        env, name = engine.env, "podman" if engine.name == "podman" else "docker"
        if not real:
            say("2. This machine has no NVIDIA GPU: two simulated ones stand in")
            show(product, env, "simulate", "make", str(product.gpus), "--gpus", "2", "--model", "H200")
        say("3. What gpudock sees")
        show(product, env, "host", *host)
        say("4. Driver tree and CDI specification: once, and after each driver upgrade")
        show(product, env, "refresh", *host)
        say("5. One GPU in a container")
        start = ("run", "--engine", name, "--rm", "--network", "none")
        show(product, env, *start, "--gpus", "1", reference, "nvidia-smi", "-L")
        say("6. All of them: programs load CUDA by its name alone, without LD_LIBRARY_PATH")
        show(product, env, *start, "--gpus", "all", reference, "/probe", "libcuda.so.1", "--nvml", "--cuda")
        say("7. What cannot be had is refused, with the way out")
        show(product, env, *start, "--gpus", "device=7", reference, "true", expect=5)


def main() -> int:
    if os.geteuid() != 0:
        print("The demonstration makes device nodes and starts containers: sudo make demo", file=sys.stderr)
        return 2
    if SPEC.exists():
        print(f"{SPEC} exists: gpudock is in use here, and the demonstration would replace it.", file=sys.stderr)
        print("Try the real thing: gpudock run --gpus all IMAGE COMMAND", file=sys.stderr)
        return 2
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="gpudock-demo-"))
    had_specs = SPEC.parent.is_dir()
    try:
        demo(folder)
    except CommandFailed as error:
        print(f"\nThe demonstration failed: {error}", file=sys.stderr)
        return 1
    finally:
        for spec in SPEC.parent.glob("gpudock*.json"):
            spec.unlink()
        if not had_specs and SPEC.parent.is_dir():
            SPEC.parent.rmdir()
        shutil.rmtree(folder, ignore_errors=True)
    say(f"Done in {time.monotonic() - began:.0f} s; everything that was made is gone again. Next:")
    print("  sudo .venv/bin/gpudock refresh            on a machine with a GPU")
    print("  .venv/bin/gpudock run --gpus all IMAGE COMMAND")
    print("  .venv/bin/gpudock --help                  and README.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
