"""The part of tools/gpu_machine.py that looks at use: a matrix product works in a container, and `gpudock status` has
to tell of it what nvidia-smi tells in the same second, and whose it is, which nvidia-smi does not tell.
"""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAME = "gpudock-evidence"
TOP = """  # what `gpudock top` draws, after it has looked for a while
import asyncio, os, sys
from gpudock.host import roots
from gpudock.monitor.assemble import collector
from gpudock.monitor.top import act
from gpudock.monitor.top.app import Top
source = collector(roots.roots_for(None, None, None), os.environ, interval=1.0, commands=False)
source.start()
async def drawn():
    app = Top(source, act.Person(1000, "alice"))
    async with app.run_test(size=(110, 30)) as pilot:
        await pilot.pause(12.0)
        print(app.export_screenshot())
asyncio.run(drawn())
source.stop()
"""
OWNER = "alice"
ROUNDS = 5
SECONDS = 150  # that the work goes on
LOOKS = 25  # seconds in which `gpudock serve` has looked at its slower counters twice
WORK = """
import torch, time
n = 8192
a = torch.randn(n, n, device="cuda", dtype=torch.bfloat16)
b = torch.randn(n, n, device="cuda", dtype=torch.bfloat16)
end = time.monotonic() + {seconds}
while time.monotonic() < end:
    for _ in range(50): a @ b
    torch.cuda.synchronize()
"""
COPY = """  # to the GPU and back, one after the other, and how fast by its own clock
import json, time, torch
host = torch.empty(1 << 30, dtype=torch.uint8, pin_memory=True)
there = torch.empty(1 << 30, dtype=torch.uint8, device="cuda")
begun, count = time.monotonic(), 0
while time.monotonic() < begun + {seconds}:
    there.copy_(host)
    host.copy_(there)
    torch.cuda.synchronize()
    count += 1
print(json.dumps((count << 30) / (time.monotonic() - begun)))
"""
_ASKED = ("memory.used", "utilization.gpu", "temperature.gpu", "power.draw")


def measured(gpudock: Callable[..., str], env: Mapping[str, str], command: list[str], out: Path) -> dict[str, Any]:
    """Five rounds of both, side by side, while the last GPU works.

    `command`: an interpreter with torch, as a container finds it. Writes what people see to `out`: status and top, the
    Sample as JSON, the metrics of `gpudock serve`.
    """
    mounts = ("-v", "/usr:/host/usr:ro", "-v", "/opt:/opt:ro", "--network", "none")
    labels = ("--label", f"gpudock.owner={OWNER}", "--label", "gpudock.env=evidence")
    work = WORK.format(seconds=SECONDS)
    last = _smi("gpu", "index")[-1][0]
    gpudock("run", "-d", "--name", NAME, "--gpus", f"device={last}", *mounts, *labels, "tiny", *command, "-c", work)
    try:
        _await_work(last)
        rounds = [_round(gpudock, last) for _ in range(ROUNDS)]
        (out / "status.txt").write_text(gpudock("status"))
        with _serving(env) as got:
            time.sleep(LOOKS)
            (out / "sample.json").write_text(got("/api/v1/sample"))
            (out / "metrics.txt").write_text(got("/metrics"))
        drawn = subprocess.run([sys.executable, "-c", TOP], env=dict(env), capture_output=True, text=True, check=False)
        (out / "top.svg").write_text(drawn.stdout or drawn.stderr)
    finally:
        subprocess.run([*_docker(env), "rm", "-f", NAME], env=dict(env), capture_output=True, check=False)
    return {"owner": OWNER, "rounds": rounds, "differences": _differences(rounds), "traffic": _traffic(env)}


def _docker(env: Mapping[str, str]) -> list[str]:
    return ["docker", "-H", env["DOCKER_HOST"]]


def _smi(query: str, *fields: str, of: str = "") -> list[list[str]]:
    """Rows of nvidia-smi, `of` one GPU or of all."""
    argv = ["nvidia-smi", f"--query-{query}={','.join(fields)}", *(["-i", of] if of else [])]
    said = subprocess.run([*argv, "--format=csv,noheader,nounits"], capture_output=True, text=True, check=True).stdout
    return [[part.strip() for part in line.split(",")] for line in said.splitlines() if line.strip()]


def _await_work(gpu: str) -> None:
    end = time.monotonic() + 60
    while int(_smi("gpu", "utilization.gpu", of=gpu)[0][0]) < 90:
        if time.monotonic() > end:
            raise SystemExit("the matrix product does not begin to work")
        time.sleep(0.5)


def _round(gpudock: Callable[..., str], index: str) -> dict[str, Any]:
    sample = json.loads(gpudock("status", "--json"))
    theirs = dict(zip(_ASKED, _smi("gpu", *_ASKED, of=index)[0], strict=True))
    processes = _smi("compute-apps", "pid", "used_memory", "gpu_uuid")
    gpu = sample["gpus"][int(index)]
    (process,) = sample["processes"]
    (container,) = sample["containers"]
    return {
        "gpudock": {
            "memory.used": gpu["memory"]["used"],
            "utilization.gpu": gpu["utilization"]["gpu"],
            "temperature.gpu": gpu["temperature"]["gpu"],
            "power.draw": gpu["power"]["draw"],
            "process": [process["pid"], process["memory"], process["owner"]["name"], process["gpu"]],
            "container": [container["name"], container["image"], container["owner"]["name"], container["environment"]],
        },
        "nvidia-smi": {**theirs, "processes": processes},
    }


def _differences(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """What has to agree: memory in the MiB that nvidia-smi shows, utilisation in points, and whose it is."""
    ours, theirs = [each["gpudock"] for each in rounds], [each["nvidia-smi"] for each in rounds]
    pairs = list(zip(ours, theirs, strict=True))
    return {
        "memory, MiB": [round(a["memory.used"] / 2**20) - int(b["memory.used"]) for a, b in pairs],
        "process memory, MiB": [round(a["process"][1] / 2**20) - int(b["processes"][0][1]) for a, b in pairs],
        "process id": [a["process"][0] - int(b["processes"][0][0]) for a, b in pairs],
        "on the same GPU": all(a["process"][3] == b["processes"][0][2] for a, b in pairs),
        "utilisation, points": [a["utilization.gpu"] - int(b["utilization.gpu"]) for a, b in pairs],
        "owner and container are named": all(
            a["container"] == [NAME, "tiny", OWNER, "evidence"] and a["process"][2] == OWNER for a in ours
        ),
    }


def _traffic(env: Mapping[str, str]) -> dict[str, Any]:
    """Bytes a second each way while a program copies: what it says itself, and what we read of the first GPU."""
    argv = [sys.executable, "-c", COPY.format(seconds=LOOKS + 5)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as copying, _serving(env) as got:
        time.sleep(LOOKS)
        gpu = json.loads(got("/api/v1/sample"))["gpus"][0]
        said, _ = copying.communicate(timeout=120)
    read = {name: gpu["profiling"][f"pcie_{name}"] for name in ("received", "sent")}
    return {"the program": json.loads(said), "profiling": read, "pcie": gpu["pcie"]}


@contextmanager
def _serving(env: Mapping[str, str]) -> Iterator[Callable[[str], str]]:
    """What a `gpudock serve` that runs meanwhile answers to a path."""
    port = "19476"
    argv = [sys.executable, "-m", "gpudock", "serve", "--listen", f"127.0.0.1:{port}", "--no-history"]
    server = subprocess.Popen(argv, env=dict(env), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def got(path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return str(answer.read().decode())

    try:
        for _ in range(100):
            if server.poll() is not None:
                raise SystemExit(f"gpudock serve ended: {server.stderr.read() if server.stderr else ''}")
            try:
                got("/metrics")
                break
            except OSError:
                time.sleep(0.2)
        else:
            raise SystemExit("gpudock serve does not answer")
        yield got
    finally:
        server.terminate()
        server.wait(10)
        if server.stderr:
            server.stderr.close()
