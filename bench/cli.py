"""What gpudock's commands cost, as ratios to `python3 -c pass` of the same interpreter, in one run of hyperfine.

Measured is what pip would install: gpudock and its dependencies alone, compiled, in a virtual environment of their own.
Uses simulated GPUs in a temporary folder, so it runs anywhere as root; on a machine with a driver it measures that too
(--real). Writes bench/results/cli.json and prints the table of docs/performance.md.
"""

import argparse
import contextlib
import importlib.metadata
import json
import os
import platform
import re
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


PROGRAM = """#!{python}
import sys
from gpudock.cli.main import main
if __name__ == "__main__":
    sys.exit(main())
"""


def installed(folder: Path) -> Path:
    """The program gpudock, as pip installs it. A checkout's environment has packages that slow its dependencies down,
    and may be told to keep nothing compiled.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    packages = next(folder.glob("lib/python*/site-packages"))
    shutil.copytree(ROOT / "src/gpudock", packages / "gpudock")
    for required in importlib.metadata.requires("gpudock") or []:
        name = re.split(r"[^\w.-]", required)[0]
        if "extra ==" not in required:
            copy_package(name, packages)
    program, python = folder / "bin/gpudock", folder / "bin/python"
    program.write_text(PROGRAM.format(python=python))
    program.chmod(0o755)
    subprocess.run([python, "-m", "compileall", "-q", packages], check=True)
    return program


def copy_package(name: str, target: Path) -> None:
    for file in importlib.metadata.files(name) or []:
        if ".." not in file.parts and file.suffix != ".pyc":
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(str(file.locate()), target / file)


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
        subprocess.run(argv, check=True, env=environment, stdout=subprocess.DEVNULL)
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
    if SPEC.exists():
        print(f"{SPEC} exists: gpudock is in use here, and the benchmark would replace it.", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="gpudock-bench-") as folder, own_specification():
        gpudock = str(installed(Path(folder) / "venv"))
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        environment |= {f"GPUDOCK_{name}_DIR": f"{folder}/{name}" for name in ("STATE", "RUN", "LIBEXEC")}
        host = [] if options.real else ["--simulated", f"{folder}/gpus"]
        if host:
            subprocess.run([gpudock, "simulate", "make", host[1]], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([gpudock, "refresh", "--quiet", *host], check=True, env=environment)
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
