"""What gpudock's commands cost, as ratios to `python3 -c pass` of the same interpreter, in one run of hyperfine.

Uses simulated GPUs in a temporary folder, so it runs anywhere as root; on a machine with a driver it measures that too
(--real). Writes bench/results/cli.json and prints the table of docs/performance.md.
"""

import argparse
import contextlib
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SPEC = Path("/var/run/cdi/gpudock.json")  # where engines look
RESULTS = ROOT / "bench/results"


def commands(gpudock: str, host: list[str]) -> dict[str, list[str]]:
    engine = "podman" if shutil.which("podman") else "docker"
    python = str(Path(gpudock).with_name("python"))
    return {
        "python3 -c pass": [python, "-c", "pass"],
        "gpudock --version": [gpudock, "--version"],
        "gpudock --help": [gpudock, "--help"],
        "gpudock run --dry-run --gpus all": [
            gpudock,
            "run",
            "--engine",
            engine,
            "--dry-run",
            "--gpus",
            "all",
            "localhost/none",
        ],
        "gpudock cdi generate": [gpudock, "cdi", "generate", *host],
        "gpudock host --json": [gpudock, "host", "--json", *host],
        "gpudock refresh (nothing to do)": [gpudock, "refresh", "--quiet", *host],
    }


def measure(cases: dict[str, list[str]], runs: int, environment: dict[str, str]) -> dict[str, dict[str, float]]:
    """Median, in milliseconds, and ratio to the first case."""
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        argv = [
            "hyperfine",
            "--shell=none",
            "--warmup=3",
            f"--runs={runs}",
            "--export-json",
            report.name,
            "--style=none",
        ]
        argv += [shlex.join(case) for case in cases.values()]
        subprocess.run(argv, check=True, env=os.environ | environment, stdout=subprocess.DEVNULL)
        found = json.loads(Path(report.name).read_text())["results"]
    medians = {name: 1000 * result["median"] for name, result in zip(cases, found, strict=True)}
    base = next(iter(medians.values()))
    return {name: {"ms": round(value, 1), "ratio": round(value / base, 2)} for name, value in medians.items()}


@contextlib.contextmanager
def own_specification() -> Iterator[None]:
    try:
        yield
    finally:
        for path in SPEC.parent.glob("gpudock*.json"):
            path.unlink()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", action="store_true", help="this machine's own GPUs instead of simulated ones")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--output", type=Path, default=RESULTS / "cli.json")
    options = parser.parse_args()
    gpudock = str(Path(sys.executable).with_name("gpudock"))
    if SPEC.exists():
        print(f"{SPEC} exists: gpudock is in use here, and the benchmark would replace it.", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="gpudock-bench-") as folder, own_specification():
        environment = {f"GPUDOCK_{name}_DIR": f"{folder}/{name}" for name in ("STATE", "RUN", "LIBEXEC")}
        host = [] if options.real else ["--simulated", f"{folder}/gpus"]
        if host:
            subprocess.run([gpudock, "simulate", "make", host[1]], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([gpudock, "refresh", "--quiet", *host], check=True, env=os.environ | environment)
        results = measure(commands(gpudock, host), options.runs, environment)
    kernel = platform.release().partition("-")[0]
    described = {
        "machine": f"{os.cpu_count()} cores, Linux {kernel}, Python {platform.python_version()}",
        "gpus": "real" if options.real else "two simulated H200",
        "runs": options.runs,
        "medians": results,
    }
    options.output.parent.mkdir(exist_ok=True)
    options.output.write_text(json.dumps(described, indent=2) + "\n")
    table = "| command | median ms | ratio |\n|---|---|---|\n"
    table += "".join(f"| `{name}` | {row['ms']} | {row['ratio']} |\n" for name, row in results.items())
    print(table, end="")
    if options.output == RESULTS / "cli.json":
        page = ROOT / "docs/performance.md"
        begin, end = "<!-- bench/results/cli.json -->\n", "<!-- end -->\n"
        head, _, rest = page.read_text().partition(begin)
        page.write_text(head + begin + table + end + rest.partition(end)[2])
    return 0


if __name__ == "__main__":
    sys.exit(main())
