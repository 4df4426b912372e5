"""The whole product on a machine with a real GPU, in one scripted run that writes its evidence. For machines that reach
nothing outside: everything that is needed is packed elsewhere and carried there.

    tools/gpu_machine.py pack FOLDER                 where the registries are reached (Debian, x86-64, as root)
    tools/gpu_machine.py pack FOLDER --only graphics the same for a second folder, with EGL, Vulkan and GLX programs
    python3 tools/gpu_machine.py run FOLDER [-o DIR] on the GPU machine, as root, in a checkout; FOLDER as packed

The run starts a Docker of its own, refreshes, and compares inside and outside of a container: `nvidia-smi -L`, the
nodes, and (where this python3 has torch) the rate of a bf16 matrix product, in turns. It measures `cdi generate` too,
and keeps what `gpudock doctor` and `gpudock verify` say.
With `--graphics FOLDER` it looks at what graphics programs see. It trains in an environment of a gpudock.yaml, within
limits that it reads back; `--only environment` does that alone.
"""

import argparse
import importlib.util
import json
import os
import re
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import gpu_env
import gpu_graphics
import gpu_use

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "src")]

TURNS = 10  # of the matrix product, inside and outside in turn
RUNS = 20  # of each timed command
REQUIRED = {
    "click",
    "msgspec",
    "pyyaml",
}  # what is imported there; the command line is read without click, its help not
EXTRAS = {  # apart: only with the extras, or for what is no part of a timed command
    *("jinja2", "markupsafe"),
    *("prometheus-client", "starlette", "uvicorn", "anyio", "h11", "idna"),
    *("textual", "rich", "markdown-it-py", "mdurl", "pygments", "platformdirs", "typing-extensions"),
}
MATMUL = """
import torch, time
n = 8192
a = torch.randn(n, n, device="cuda", dtype=torch.bfloat16)
b = torch.randn(n, n, device="cuda", dtype=torch.bfloat16)
for _ in range(10): a @ b
torch.cuda.synchronize()
begun = time.perf_counter()
for _ in range(50): a @ b
torch.cuda.synchronize()
print(2 * n**3 * 50 / (time.perf_counter() - begun) / 1e12, torch.cuda.get_device_properties(0).uuid)
"""


def pack(folder: Path, python: str) -> None:
    """Docker with its libraries, a tiny image, and what the product imports, for the other machine's Python."""
    from real.harness import docker_tree

    folder.mkdir(parents=True, exist_ok=True)
    engine = docker_tree.programs().parent
    plugins = {str(engine / "bin" / name).lstrip("/") for name in docker_tree.PLUGINS}  # large, and not used there
    with tarfile.open(folder / "engine.tar.xz", "w:xz", preset=6) as packed:
        packed.add(engine, arcname=str(engine).lstrip("/"), filter=lambda each: None if each.name in plugins else each)
    gpu_env.pack(folder / "tiny.tar")
    (folder / "programs").write_text(f"{engine}/bin\n")
    lock = (ROOT / "requirements/dev.txt").read_text().splitlines()
    wheels = [line.split()[0] for line in lock if line.partition("==")[0] in REQUIRED | EXTRAS]
    argv = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--no-deps",
        "--only-binary=:all:",
        "--python-version",
        python,
    ]
    subprocess.run([*argv, "-d", str(folder), *wheels], check=True)
    print(f"{sum(path.stat().st_size for path in folder.iterdir()) / 2**20:.0f} MiB in {folder}")


class Machine:
    """The product and an engine, on this machine."""

    def __init__(self, env: Mapping[str, str], flags: tuple[str, ...]) -> None:
        self.env, self.flags = dict(env), flags

    def gpudock(self, *args: str, check: bool = True) -> str:
        return self.call(*args, check=check).stdout

    def call(
        self, *args: str, check: bool = True, more: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """gpudock ARGS; `more`: variables besides."""
        argv = [sys.executable, "-m", "gpudock", *args]
        env = {**self.env, **(more or {})}
        done = subprocess.run(
            argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=300
        )
        if done.returncode and check:
            raise SystemExit(f"gpudock {' '.join(args)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def inside(self, *command: str, mounts: tuple[str, ...] = ()) -> str:
        flags = [word for mount in mounts for word in ("-v", mount)]
        return self.gpudock("run", "--rm", "--network", "none", "--gpus", "all", *flags, "tiny", *command)

    def tried(self, gpus: str, image: str, *command: str) -> str:
        """What a program in a container printed, also when it failed."""
        return self.gpudock("run", "--rm", "--network", "none", "--gpus", gpus, image, *command, check=False)


def compared(machine: Machine) -> dict[str, object]:
    """What both sides say; raises SystemExit where they differ."""
    outside = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True).stdout
    inside = machine.inside("nvidia-smi", "-L")
    if inside != outside:
        raise SystemExit(f"nvidia-smi -L differs:\noutside: {outside}inside:  {inside}")
    probe = machine.inside("/probe", "libcuda.so.1", "--nvml", "--cuda")
    nodes = sorted(re.findall(r"\bnvidia\S*", machine.inside("ls", "/dev")))
    return {
        "nvidia-smi -L": inside.splitlines(),
        "one GPU each": one_each(machine, outside),
        "probe": probe.splitlines(),
        "nodes": nodes,
    }


def one_each(machine: Machine, listed: str) -> list[str]:
    """For each GPU of `nvidia-smi -L`, by index and by UUID: what a container that asks for it lists."""
    found = []
    for index, uuid in re.findall(r"^GPU (\d+): .*\(UUID: ([^)]+)\)$", listed, re.MULTILINE):
        for name in (index, uuid):
            said = machine.tried(f"device={name}", "tiny", "nvidia-smi", "-L")
            if re.findall(r"UUID: ([^)]+)\)", said) != [uuid]:
                raise SystemExit(f"a container that asks for GPU {name} has others:\n{said}")
            found.append(f"device={name}: {said.strip()}")
    return found


def interpreter() -> list[str]:
    """This python3 with its torch, as a container without one finds it below /host/usr and /opt."""
    loader = ["/host/usr/lib64/ld-linux-x86-64.so.2", "--library-path", "/host/usr/lib/x86_64-linux-gnu"]
    home = f"/host{sys.base_prefix}" if sys.base_prefix.startswith("/usr") else sys.base_prefix
    python = "/host" + os.path.realpath(sys.executable)
    paths = ":".join(path for path in sys.path if path.startswith("/opt"))
    return ["/bin/busybox", "env", f"PYTHONHOME={home}", f"PYTHONPATH={paths}", *loader, python]


def matrix_products(machine: Machine) -> dict[str, object]:
    """TFLOP/s outside and inside, in turns, on the same interpreter and torch."""
    rates: dict[str, list[float]] = {"outside": [], "inside": []}
    uuids = set()
    for turn in range(TURNS):
        sides = ("outside", "inside") if turn % 2 else ("inside", "outside")  # who comes second finds the GPU warmer
        for side in sides:
            if side == "inside":
                mounts = ("/usr:/host/usr:ro", "/opt:/opt:ro")
                text = machine.inside(*interpreter(), "-c", MATMUL, mounts=mounts)
            else:
                argv = [sys.executable, "-c", MATMUL]
                text = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
            rate, uuid = text.split()
            rates[side].append(float(rate))
            uuids.add(uuid)
    ratio = statistics.median(rates["inside"]) / statistics.median(rates["outside"])
    return {"TFLOP/s": rates, "inside/outside": round(ratio, 4), "uuids": sorted(uuids)}


def timed(machine: Machine) -> dict[str, float]:
    """Median milliseconds of whole commands, in turns."""
    python = "/usr/bin/python3"  # the system's own, as users install it: this one may have a site of any size
    script = Path(machine.env["GPUDOCK_STATE_DIR"], "gpudock")  # as an installed one: `-m` imports runpy
    script.write_text(
        f"import sys\nsys.path[:0] = {machine.env['PYTHONPATH'].split(':')!r}\n"
        "from gpudock.cli.main import main\nmain()\n"
    )
    own = [python, "-I", str(script)]
    cases = {
        "python3 -I -c pass": [python, "-I", "-c", "pass"],
        "gpudock --version": [*own, "--version"],
        "gpudock cdi generate": [*own, "cdi", "generate", *machine.flags],
        "gpudock run --dry-run": [*own, "run", "--dry-run", "--gpus", "all", "tiny"],
    }
    taken: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(RUNS):
        for name, argv in cases.items():
            begun = time.perf_counter()
            subprocess.run(argv, env=machine.env, capture_output=True, check=True)
            taken[name].append(1000 * (time.perf_counter() - begun))
    return {name: round(statistics.median(values), 1) for name, values in taken.items()}


def measured(folder: Path, flags: tuple[str, ...], graphics: Path | None, out: Path, only: str) -> dict[str, object]:
    from real.harness import engines, leftovers

    with tarfile.open(folder / "engine.tar.xz") as packed:
        packed.extractall("/", filter="tar")
    programs = Path((folder / "programs").read_text().strip())
    temp = Path(tempfile.mkdtemp(prefix="gpudock-run-", dir="/dev/shm"))  # Docker's overlay wants no overlay below
    try:
        install(folder, REQUIRED, temp / "site")
        install(folder, EXTRAS, temp / "extras")
        with engines.docker_from(temp / "docker", programs) as engine:
            engine.run("import", str(folder / "tiny.tar"), "tiny")
            own = {f"GPUDOCK_{name}_DIR": f"{temp}/{name.lower()}" for name in ("STATE", "RUN", "LIBEXEC")}
            paths = {"PYTHONPATH": f"{ROOT}/src:{temp}/site", "GPUDOCK_ENGINE": "docker"}
            env = {**engine.env, **own, **paths}
            env.pop("PYTHONDONTWRITEBYTECODE", None)  # modules are compiled once, as where gpudock is installed
            machine = Machine(env, flags)
            extended = Machine({**env, "PYTHONPATH": f"{env['PYTHONPATH']}:{temp}/extras"}, flags)
            if only:
                machine.gpudock("refresh", *flags)
            if only == "timed":
                return {"medians, ms": timed(machine)}
            found = results(machine) if not only else {}
            found["environment"] = gpu_env.measured(extended.call, extended.env, interpreter(), gpu=not flags)
            if has_torch(flags) and not only:
                found["use"] = gpu_use.measured(extended.gpudock, extended.env, interpreter(), out)
            if graphics is not None:
                engine.run("import", str(graphics / gpu_graphics.IMAGE), "graphics")
                found["graphics"] = gpu_graphics.looked_at(machine.tried)
            return found
    finally:
        for spec in Path("/var/run/cdi").glob("gpudock*.json"):
            spec.unlink()
        leftovers.clear(temp)


def install(folder: Path, names: set[str], target: Path) -> None:
    """The wheels of these packages; a wheel's name has "_" where the package's has "-"."""
    wheels = [str(path) for path in folder.glob("*.whl") if path.name.partition("-")[0].replace("_", "-") in names]
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--target", str(target)]
    subprocess.run([*pip, *wheels], check=True)


def has_torch(flags: tuple[str, ...]) -> bool:
    return importlib.util.find_spec("torch") is not None and not flags


def results(machine: Machine) -> dict[str, object]:
    flags = machine.flags
    return {
        "doctor before refresh": said(machine.call("doctor", *flags, check=False)),
        "refresh": machine.gpudock("refresh", *flags).splitlines(),
        "host": machine.gpudock("host", *flags).splitlines(),
        **compared(machine),
        "validate": machine.gpudock("cdi", "validate", *flags).splitlines(),
        "medians, ms": timed(machine),
        "doctor": said(machine.call("doctor", "-v", *flags, check=False)),
        "verify": said(machine.call("verify", *flags, check=False)),
        "matrix product": matrix_products(machine) if has_torch(flags) else "not measured: no torch here",
    }


def said(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Every line of a command that may find fault, and the exit code."""
    return [*done.stdout.splitlines(), *done.stderr.splitlines(), f"exit code {done.returncode}"]


_ONLY = (
    "graphics (pack): a folder with its programs alone; timed, environment (run): these alone, into a file of its own"
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["pack", "run"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--python", default="3.12", help="version of the GPU machine's python3 (pack)")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "docs/evidence", help="folder for the result (run)")
    parser.add_argument("--only", choices=["graphics", "timed", "environment"], default="", help=_ONLY)
    parser.add_argument("--graphics", type=Path, help="folder with the graphics programs, as packed (run)")
    parser.add_argument("--simulated", help="simulated GPUs of this folder, to try the run itself")
    options = parser.parse_args()
    if options.action == "pack":
        if options.only == "graphics":
            gpu_graphics.pack(options.folder)
        else:
            pack(options.folder, options.python)
        return 0
    if options.only == "graphics":
        parser.error("--only graphics is for pack; run takes --graphics FOLDER")
    flags = ("--simulated", options.simulated) if options.simulated else ()
    options.output.mkdir(parents=True, exist_ok=True)
    found = measured(options.folder, flags, options.graphics, options.output, options.only)
    text = json.dumps(found, indent=2) + "\n"
    name = f"gpu-{options.only}.json" if options.only else "gpu-machine.json"
    (options.output / name).write_text(text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
