"""Many starts at once: how long each takes, how many fail, and what is left behind."""

import os
import statistics
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from bench.starts import bundle, lifecycle
from bench.starts.lifecycle import Case, Stage

from real.harness import mounts, processes

AT_ONCE = 32
_CGROUPS = Path("/sys/fs/cgroup")


@dataclass
class Outcome:
    taken: list[float] = field(default_factory=list)  # milliseconds
    failures: list[str] = field(default_factory=list)  # what they said
    files: list[str] = field(default_factory=list)  # temporary ones


def measure(stage: Stage, real: str, number: int) -> dict[str, dict[str, object]]:
    """`number` starts of each case, one case after the other."""
    lifecycle.adopt()
    cases = lifecycle.cases(stage, real)
    ours, cdi = (cases[name] for name in (lifecycle.OURS, lifecycle.CDI))
    wanted = {lifecycle.BARE: (cases[lifecycle.BARE], "libc.so.6")}
    wanted |= {lifecycle.OURS: (ours, "libcuda.so.1"), lifecycle.CDI: (cdi, "libcuda.so.1")}
    return {name: _storm(case, library, number) for name, (case, library) in wanted.items()}


def _storm(case: Case, library: str, number: int) -> dict[str, object]:
    found = Outcome()
    before = _there(case.stage.folder)
    begun = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for one in pool.map(_start(case, library), range(number)):
            found.taken += one.taken
            found.failures += one.failures
            found.files += one.files
    whole = time.perf_counter() - begun
    _reap()
    left = {name: count - before[name] for name, count in _there(case.stage.folder).items()}
    percentiles = statistics.quantiles(found.taken, n=100, method="inclusive")
    return {
        "starts": number,
        "at once": AT_ONCE,
        "failures": len(found.failures),
        "said": found.failures[:3],
        "left behind": left | {"temporary files": len(found.files)},
        "p50": round(percentiles[49], 1),
        "p99": round(percentiles[98], 1),
        "seconds": round(whole, 1),
    }


def _start(case: Case, library: str) -> Callable[[int], Outcome]:
    """A container that tells whether its loader finds the library."""

    def start(number: int) -> Outcome:
        found = Outcome()
        name = f"{os.getpid()}-storm-{number}"
        with bundle.bundle(case.stage.folder, name, case.stage.image) as made:
            case.configure(made, ["/probe", library])
            argv = [*case.command, "run", "--bundle", str(made.folder), name]
            begun = time.perf_counter()
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
            found.taken.append(1000 * (time.perf_counter() - begun))
            if done.returncode or f"{library} ok" not in done.stdout:
                found.failures.append(f"{done.returncode}: {(done.stdout + done.stderr)[-300:]}")
            names = [*made.folder.iterdir(), *made.layer.rglob("*")]
            found.files += [str(path) for path in names if _temporary(path.name)]
        return found

    return start


def _temporary(name: str) -> bool:
    return name.startswith(".gpudock-") or name.endswith((".gpudock", ".tmp"))


def _reap() -> None:
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                return
        except ChildProcessError:
            return


def _there(folder: Path) -> dict[str, int]:
    """Of what containers have while they run; the driver tree may be mounts too."""
    groups = [path for path in _CGROUPS.glob("**/start-bench-*") if path.is_dir()]
    containers = [path for state in folder.glob("state-*") for path in state.iterdir()]
    return {
        "mounts": len(mounts.below(folder)),
        "processes": len(processes.of_folder(folder)),
        "control groups": len(groups),
        "containers": len(containers),
    }
