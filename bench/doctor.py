"""How long `gpudock doctor` takes: on this machine, and on one whose NVML hangs. Prints seconds, and keeps
them in bench/results/doctor.json.

    .venv/bin/python bench/doctor.py [--rounds N]      as root, for the simulated machine that hangs

The aim is 2 seconds on a machine with both engines; with a hanging NVML it ends soon after NVML's deadline of 5.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from gpudock import proc
from gpudock.testing.simulate import build, description

AIM, DEADLINE = 2.0, 8.0
RESULTS = Path(__file__).resolve().parent / "results/doctor.json"


def seconds(*words: str) -> tuple[float, dict[str, object]]:
    began = time.perf_counter()
    argv = [sys.executable, "-m", "gpudock", "doctor", "--json", *words]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return time.perf_counter() - began, json.loads(done.stdout)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    load = round(os.getloadavg()[0], 1)
    times = [seconds()[0] for _ in range(rounds)]
    print(f"this machine: median {statistics.median(times):.2f} s of {rounds}, slowest {max(times):.2f} s; aim {AIM} s")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as temp:
        folder = str(Path(temp, "hanging"))
        machine = msgspec.structs.replace(description.make(1, "T4", "535.261.03"), faults={"nvmlInit_v2": "stuck"})
        build.build(machine, folder, runner=proc.run)
        took, told = seconds("--simulated", folder)
        build.remove(folder)
    found = [each["id"] for each in told["findings"]]  # type: ignore[attr-defined]
    print(f"NVML stuck, deaf to SIGTERM: {took:.2f} s, finds {', '.join(found)}; limit {DEADLINE} s")
    results = {
        "unit": "s",
        "this machine": {"median": round(statistics.median(times), 2), "most": round(max(times), 2), "runs": rounds},
        "NVML stuck, deaf to SIGTERM": {"seconds": round(took, 2), "finds": found},
        "load before": load,
        "date": time.strftime("%Y-%m-%d"),
    }
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    return int("nvml-silent" not in found or took > DEADLINE)


if __name__ == "__main__":
    sys.exit(main())
