"""What watching costs: 8 simulated GPUs, 200 processes in 40 containers, looked at and scraped once a second.

    bench/monitor.py                  measures gpudock serve and gpudock status; needs root, for the containers' cgroups
    bench/monitor.py --peers VENV     also gpustat and nvitop-exporter on the same simulated driver, where VENV has them
    bench/monitor.py --check          fails where a limit is broken

The processes are real (they sleep), the containers are cgroups, and the docker that names them is a file with what
docker would answer. CPU is that of the server and all its children. Writes bench/results/monitor.json; without --peers
what it says of them stays, with the day on which they were measured.
"""

import argparse
import contextlib
import http.client
import json
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from gpudock import proc
from gpudock.testing.simulate import build, description
from gpudock.testing.simulate.machine import Process

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.cli import installed  # noqa: E402
from bench.limits import code, judged  # noqa: E402

RESULTS = ROOT / "bench/results/monitor.json"
GPUS, PROCESSES, CONTAINERS = 8, 200, 40
MOST = {"cpu_percent": 2.0, "memory_mib": 95.0, "scrape_ms": 10.0, "status_ratio": 20.0}
TICK = os.sysconf("SC_CLK_TCK")
CGROUPS = Path("/sys/fs/cgroup")
PARENT = f"gpudock-bench-{os.getpid()}"


def ids() -> list[str]:
    return [f"{index:064x}" for index in range(1, CONTAINERS + 1)]


@contextlib.contextmanager
def containers() -> Iterator[list[int]]:
    """Sleeping processes in cgroups that look like containers'."""
    trees = [CGROUPS] if (CGROUPS / "cgroup.controllers").exists() else [
        CGROUPS / name for name in ("memory", "cpuacct", "blkio") if (CGROUPS / name).is_dir()
    ]  # fmt: skip
    sleepers = [subprocess.Popen(["sleep", "1000"]) for _ in range(PROCESSES)]
    try:
        for tree in trees:
            for index, identity in enumerate(ids()):
                (tree / PARENT / identity).mkdir(parents=True)
                for sleeper in sleepers[index::CONTAINERS]:
                    (tree / PARENT / identity / "cgroup.procs").write_text(str(sleeper.pid))
        yield [each.pid for each in sleepers]
    finally:
        for each in sleepers:
            each.kill()
        for each in sleepers:
            each.wait()
        for tree in trees:
            for identity in ids():
                until_gone(tree / PARENT / identity)
            until_gone(tree / PARENT)


def until_gone(folder: Path) -> None:
    for _ in range(100):
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.02)


def simulated(folder: Path, pids: list[int]) -> None:
    made = description.make(GPUS, "H200", "580.159.04")
    gpus = [
        msgspec.structs.replace(
            gpu,
            utilization=50,
            swing=40,
            processes=tuple(
                Process(pid=pid, name="python3", used_memory=1 << 30, utilization=4) for pid in pids[index::GPUS]
            ),
        )
        for index, gpu in enumerate(made.gpus)
    ]
    build.build(msgspec.structs.replace(made, gpus=tuple(gpus)), str(folder), runner=proc.run)


def docker(folder: Path, pids: list[int]) -> dict[str, str]:
    """The environment in which `docker` is a program that knows the containers."""
    told = [
        {
            "Id": each,
            "Name": f"/trainer-{index}",
            "Config": {"Image": "torch", "Labels": owner(index)},
            "State": {"Pid": pids[index]},
        }
        for index, each in enumerate(ids())
    ]
    (folder / "bin").mkdir()
    (folder / "told.json").write_text(json.dumps(told))
    program = folder / "bin/docker"
    program.write_text(f"#!/bin/sh\nexec cat {folder}/told.json\n")
    program.chmod(0o755)
    (folder / "docker.sock").write_text("")
    return os.environ | {
        "PATH": f"{folder}/bin:/usr/bin:/bin",
        "DOCKER_HOST": f"unix://{folder}/docker.sock",
        "GPUDOCK_RUN_DIR": str(folder / "run"),
    }


def owner(index: int) -> dict[str, str]:
    return {"gpudock.owner": f"user{index % 12}"}


def family(pid: int) -> list[int]:
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for each in task.read_text().split():
                found += family(int(each))
    return found


def used(pid: int) -> float:
    """Seconds of processor, of it and of all its children, ended ones too."""
    total = 0
    for each in family(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            total += sum(int(fields[place]) for place in ((11, 12, 13, 14) if each == pid else (11, 12)))
    return total / TICK


def memory(pid: int) -> float:
    """MiB that they alone have, and their part of what they share."""
    total = 0
    for each in family(pid):
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{each}/smaps_rollup").read_text()
            total += int(next(line.split()[1] for line in text.splitlines() if line.startswith("Pss:")))
    return total / 1024


def free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


def scrape(port: int, path: str = "/metrics") -> tuple[float, int]:
    """Milliseconds and bytes, on a new connection as Prometheus would after a pause."""
    began = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    size = len(connection.getresponse().read())
    connection.close()
    return (time.perf_counter() - began) * 1000, size


def listen(port: int, ended: threading.Event) -> None:
    """As the page does."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/api/v1/events")
    answer = connection.getresponse()
    while not ended.is_set():
        answer.readline()
    connection.close()


def watched(argv: list[str], env: dict[str, str], port: int, seconds: int, *, page: bool) -> dict[str, Any]:
    """CPU and memory of a server that is scraped once a second."""
    process = subprocess.Popen(
        argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    ended = threading.Event()
    try:
        for _ in range(200):
            with contextlib.suppress(OSError):
                scrape(port)
                break
            time.sleep(0.1)
        if page:
            threading.Thread(target=listen, args=(port, ended), daemon=True).start()
        time.sleep(5)
        before, began, times, size = used(process.pid), time.monotonic(), [], 0
        while time.monotonic() - began < seconds:
            taken, size = scrape(port)
            times.append(taken)
            time.sleep(max(1 - taken / 1000, 0))
        passed = time.monotonic() - began
        return {
            "cpu_percent": round(100 * (used(process.pid) - before) / passed, 2),
            "memory_mib": round(memory(process.pid), 1),
            "scrape_ms": round(statistics.median(times), 2),
            "scrape_bytes": size,
        }
    finally:
        ended.set()
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def once(argv: list[str], env: dict[str, str], rounds: int) -> float:
    """Median milliseconds of a command."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        subprocess.run(argv, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        times.append((time.perf_counter() - began) * 1000)
    return round(statistics.median(times), 1)


def writing(port: int) -> dict[str, float]:
    """The same series by prometheus_client, and by us: milliseconds to write the text."""
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.parser import text_string_to_metric_families

    sys.path.insert(0, str(ROOT / "tests"))
    from gpudock.monitor.exposition import Exposition
    from gpudock.monitor.sample import Sample, decode
    from gpudock.monitor.shares import Tally

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/api/v1/sample")
    sample = decode(connection.getresponse().read())
    if len([each for each in sample.containers if each.name]) != CONTAINERS:
        raise SystemExit(f"{len(sample.containers)} containers are found: this is another workload")
    connection.request("GET", "/metrics")
    families = list(text_string_to_metric_families(connection.getresponse().read().decode()))

    class Collector:
        def collect(self) -> list[Any]:
            return families

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collector())

    class Newest:
        def latest(self) -> Sample:
            return sample

        def wait(self, after: int, timeout: float) -> Sample:  # noqa: ARG002
            return sample

    def timed(work: Callable[[], object]) -> float:
        times = []
        for _ in range(30):
            began = time.perf_counter()
            work()
            times.append((time.perf_counter() - began) * 1000)
        return round(statistics.median(times), 2)

    return {
        "series": sum(len(each.samples) for each in families),
        "ours_ms": timed(lambda: Exposition(Newest(), Tally()).text()),
        "prometheus_client_ms": timed(lambda: generate_latest(registry)),
    }


def peers(venv: Path, folder: Path, env: dict[str, str], given: argparse.Namespace) -> dict[str, Any]:
    """On the same driver, with `python3 -c pass` of the same minutes."""
    library = next((folder / "gpus").glob("usr/lib/*/libnvidia-ml.so.1")).parent
    theirs = env | {"LD_LIBRARY_PATH": str(library)}
    port = free_port()
    exporter = [str(venv / "bin/nvitop-exporter"), "--interval", "1", "--bind-address", "127.0.0.1"]
    return {
        "date": time.strftime("%Y-%m-%d"),
        "python_ms": once([str(venv / "bin/python"), "-c", "pass"], env, given.rounds),
        "gpustat": {
            "version": version(venv, "gpustat"),
            "ms": once([str(venv / "bin/gpustat"), "--json"], theirs, given.rounds),
        },
        "nvitop-exporter": {
            "version": version(venv, "nvitop-exporter"),
            **watched([*exporter, "--port", str(port)], theirs, port, given.seconds, page=False),
        },
    }


def version(venv: Path, package: str) -> str:
    argv = [str(venv / "bin/python"), "-c", f"from importlib.metadata import version; print(version({package!r}))"]
    return str(subprocess.run(argv, capture_output=True, text=True, check=True).stdout).strip()


def kept(before: str) -> dict[str, Any]:
    """What the results of an earlier run say of the peers."""
    found: dict[str, Any] = json.loads(before or "{}").get("peers", {})
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--peers", type=Path, help="a virtual environment with gpustat and nvitop-exporter")
    parser.add_argument("--check", action="store_true", help="end with 1 where a limit is broken")
    given = parser.parse_args()
    results: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{os.cpu_count()} cores, Linux {platform.release()}",
        "python": platform.python_version(),
    }
    with tempfile.TemporaryDirectory(prefix="gpudock-bench-") as temp, containers() as pids:
        folder = Path(temp)
        simulated(folder / "gpus", pids)
        env = docker(folder, pids)
        program = installed(folder / "venv")  # what pip would install: a checkout's environment is slower to start
        python, gpudock = str(program.parent / "python"), [str(program)]
        port = free_port()
        serve = [
            sys.executable,
            "-m",
            "gpudock",
            "serve",
            "--simulated",
            str(folder / "gpus"),
            "--listen",
            f"127.0.0.1:{port}",
        ]
        serve += ["--history", str(folder / "history.db")]
        results["serve"] = watched(serve, env, port, given.seconds, page=True)
        process = subprocess.Popen(serve, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(4)
        results["writing"] = writing(port)
        process.terminate()
        process.wait(10)
        status = [*gpudock, "status", "--simulated", str(folder / "gpus")]
        results["python_ms"] = once([python, "-c", "pass"], env, given.rounds)
        results["status_ms"] = once(status, env, given.rounds)
        results["status_ratio"] = round(results["status_ms"] / results["python_ms"], 1)
        results["peers"] = (
            peers(given.peers, folder, env, given)
            if given.peers
            else kept(RESULTS.read_text() if RESULTS.exists() else "")
        )
    results["limits"] = judged({**results["serve"], **results}, MOST)
    text = json.dumps(results, indent=2)
    RESULTS.write_text(text + "\n")
    print(text)
    return code(results["limits"], check=given.check)


if __name__ == "__main__":
    sys.exit(main())
