"""What starting a container costs: the bare OCI runtime, gpudock-runtime, and CDI with the hook, in turns.

On a machine with an NVIDIA driver its own GPUs are used, elsewhere (or with --simulated) two simulated ones; on disk
and on a tmpfs, as root. Everything is kept in folders of its own, and mounted where nobody else sees it. Nothing is
asserted: told are medians, how far they spread (from the tenth to the ninetieth of a hundred), the median difference
to the first case in the same round, and the ratio of the medians. All parts together go to bench/results/start.json
and docs/performance.md.

A machine that reaches nothing outside gets what it needs from `tools/gpu_machine.py pack FOLDER`:
    python3 bench/start.py --packed FOLDER --output bench/results/start-h200.json
"""

import argparse
import fcntl
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "src")]

from bench.starts import bundle, dockers, lifecycle, merge, product, report, storm, turns  # noqa: E402

from real.harness import images, leftovers  # noqa: E402

PARTS = ("lifecycle", "merge", "docker", "storm")
RESULTS = ROOT / "bench/results"
LOCK = "/tmp/gpudock-tests.lock"  # of the tests with real engines: they look at what changes on the machine
ALONE = "GPUDOCK_BENCH_ALONE"  # set in the process whose mounts nobody else sees


def machine(folders: dict[str, Path]) -> str:
    with open("/proc/cpuinfo") as file:
        model = next((line.partition(": ")[2].strip() for line in file if line.startswith("model name")), "?")
    versions = [_said([path, "--version"]).splitlines()[0] for path in lifecycle.runtimes()]
    kinds = [f"{name} is {_said(['stat', '-f', '-c', '%T', str(path)])}" for name, path in folders.items()]
    linux = f"Linux {platform.release().partition('-')[0]}"
    return ", ".join([f"{os.cpu_count()} cores ({model})", linux, *versions, *kinds])


def gpus(*, simulated: bool) -> str:
    names = (
        set()
        if simulated
        else {line.partition(" (")[0].partition(": ")[2] for line in _said(["nvidia-smi", "-L"]).splitlines()}
    )
    return ", ".join(sorted(names)) or "two simulated H200"


def measure(options: argparse.Namespace, folders: dict[str, Path]) -> dict[str, Any]:
    tar = options.packed / "tiny.tar" if options.packed else images.tar("tiny")
    programs = dockers.unpack(options.packed) if options.packed else None
    if programs:
        os.environ["PATH"] = f"{programs}:{os.environ['PATH']}"
    found: dict[str, Any] = {"machine": machine(folders), "gpus": gpus(simulated=options.simulated)}
    found["rounds"] = options.rounds
    with ExitStack() as stack:
        for place, parent in folders.items():
            # Not called gpudock: a config.json with that word in it is always looked at by Python.
            folder = Path(tempfile.mkdtemp(prefix="start-bench-", dir=parent))
            stack.callback(leftovers.clear, folder)
            folder.chmod(0o755)
            stage = made(options, folder, tar)
            if "yardstick" not in found:
                found["yardstick"] = lifecycle.yardstick(stage.product, options.rounds)
            for part, figures in parts(options, stage, tar, programs):
                print(f"{place}: {part}", file=sys.stderr)
                _file(found, part, place, figures)
    return found


def made(options: argparse.Namespace, folder: Path, tar: Path) -> lifecycle.Stage:
    if options.packed and not (options.packed / "site").exists():
        wheels = map(str, options.packed.glob("*.whl"))
        install = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--target"]
        subprocess.run([*install, options.packed / "site", *wheels], check=True)
    if options.packed:
        os.environ["PYTHONPATH"] = str(options.packed / "site")
    own = product.product(folder / "product", simulated=options.simulated)
    return lifecycle.Stage(folder, bundle.image(tar, folder / "image"), own)


def parts(
    options: argparse.Namespace, stage: lifecycle.Stage, tar: Path, programs: Path | None
) -> Iterator[tuple[str, object]]:
    """The name of each part that was measured, with its figures."""
    if "lifecycle" in options.only:
        for real in lifecycle.runtimes():
            try:
                yield f"lifecycle {Path(real).name}", lifecycle.measure(stage, real, options.rounds)
            except turns.FailedError as error:
                print(f"{real} is left out: {error}", file=sys.stderr)
    if "merge" in options.only:
        program = stage.image / "sbin/ldconfig"
        yield "merge", merge.measure(stage.folder, program, stage.product, options.rounds)
    if "docker" in options.only:
        for name, figures in dockers.measure(stage.folder / "docker", stage.product, tar, programs, options.rounds):
            yield f"docker {name}", figures
    if "storm" in options.only and options.storm:
        yield "storm", storm.measure(stage, lifecycle.runtimes()[0], options.storm)


def _file(found: dict[str, Any], part: str, place: str, figures: object) -> None:
    for word in part.split():
        found = found.setdefault(word, {})
    found[place] = figures


def _said(argv: list[str]) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS), help=f"some of {','.join(PARTS)}")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--storm", type=int, default=1000, metavar="N", help="starts; 0: no storm")
    parser.add_argument("--disk", default=tempfile.gettempdir(), help="a folder on a disk")
    parser.add_argument("--tmpfs", default="/dev/shm", help="a folder on a tmpfs")
    parser.add_argument("--simulated", action="store_true", default=not product.DRIVER.exists())
    parser.add_argument("--packed", type=Path, help="what tools/gpu_machine.py has packed")
    parser.add_argument("--output", type=Path, help="for the results; of some parts alone they are only printed")
    options = parser.parse_args()
    options.only = options.only.split(",")
    unknown = set(options.only) - set(PARTS)
    if unknown:
        parser.error(f"--only knows no {', '.join(sorted(unknown))}")
    if options.output is None and set(options.only) == set(PARTS) and options.storm:
        options.output = RESULTS / "start.json"
    return options


def main() -> int:
    options = arguments()
    if ALONE not in os.environ:
        unshared = ["unshare", "--mount", "--net", "--propagation", "private", sys.executable, *sys.argv]
        os.execvpe(unshared[0], unshared, os.environ | {ALONE: "1"})
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # clears up
    with open(LOCK, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        results = measure(options, dict(product.folders((options.disk, options.tmpfs))))
    table = report.text(results)
    print(table, end="")
    if options.output:
        options.output.parent.mkdir(exist_ok=True)
        options.output.write_text(json.dumps(results, indent=1) + "\n")
        report.put(table, f"bench/results/{options.output.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
