"""A training in an environment with limits, and the limits as the kernel has them, read inside and outside.

With the PyTorch and the GPU of a GPU machine (tools/gpu_machine.py); in the tests a stand-in trains, and says so.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from gpudock.env import cgroup

Call = Callable[..., CompletedProcess[str]]

SCRIPT, RESULT = "train.py", "trained.json"
TRAIN = """
import json, os
try:
    import torch
except ImportError as error:
    torch, lacking = None, str(error)

def with_torch():
    gpu = torch.cuda.is_available()
    device = "cuda" if gpu else "cpu"
    torch.manual_seed(0)
    points = torch.randn(4096, 256)
    answers = torch.tanh(points @ torch.randn(256, 1) / 8)
    model = torch.nn.Sequential(torch.nn.Linear(256, 512), torch.nn.ReLU(), torch.nn.Linear(512, 1)).to(device)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    # a worker, as real trainings have them: its batches come by /dev/shm
    data = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(points, answers), batch_size=512, num_workers=1, multiprocessing_context="fork"
    )
    losses = []
    for _ in range(10):
        total = 0.0
        for batch, wanted in data:
            loss = torch.nn.functional.mse_loss(model(batch.to(device)), wanted.to(device))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += loss.item()
        losses.append(total / len(data))
    told = {"by": f"torch {torch.__version__}", "device": device, "losses": losses}
    if gpu:
        told["GPU"] = [torch.cuda.get_device_name(0), str(torch.cuda.get_device_properties(0).uuid)]
        told["GPU memory, MiB"] = torch.cuda.max_memory_allocated() >> 20
    return told

def stand_in():
    points = [(x / 100, 3 * x / 100 + 1) for x in range(-100, 100)]
    slope = offset = 0.0
    losses = []
    for _ in range(10):
        misses = [(slope * x + offset - y, x) for x, y in points]
        losses.append(sum(miss * miss for miss, _ in misses) / len(points))
        slope -= 0.5 * sum(miss * x for miss, x in misses) / len(points)
        offset -= 0.5 * sum(miss for miss, _ in misses) / len(points)
    return {"by": f"a stand-in in plain Python: {lacking}", "device": "cpu", "losses": losses}

told = with_torch() if torch else stand_in()
shm = os.statvfs("/dev/shm")
told["user"] = os.getuid()
told["shm"], told["affinity"] = shm.f_blocks * shm.f_frsize, sorted(os.sched_getaffinity(0))
with open("/workspace/trained.json", "w") as file:
    json.dump(told, file)
"""


def measured(
    gpudock: Call, pid_of: Callable[[str], int], folder: Path, python: list[str], *, uid: int, asked: dict[str, Any]
) -> dict[str, Any]:
    """What training in the running environment of `folder` did, and what both sides say of its limits.

    `gpudock`: runs it with words. `pid_of`: of a container by its name. `python`: an interpreter, as it is inside.
    `uid`: whose it is. `asked`: the limits, as `env ls` tells them, and the CPUs of cpuset as "affinity".
    """
    (folder / SCRIPT).write_text(TRAIN)
    done = gpudock("env", "exec", "-C", str(folder), *python, f"/workspace/{SCRIPT}")
    result = json.loads((folder / RESULT).read_text())
    raw = gpudock("env", "exec", "-C", str(folder), *cgroup.command()).stdout
    listed = json.loads(gpudock("env", "ls", "--json").stdout)
    (row,) = [each for each in listed if each["project"] == str(folder)]
    inside = {**_limits(raw), "shm": result.pop("shm"), "affinity": result.pop("affinity")}
    sides = {"inside": inside, "outside": _outside(pid_of(row["container"])), "gpudock env ls": row["limits"]}
    result["owner of what it wrote"] = (folder / RESULT).stat().st_uid
    differences = [*_differences(sides, asked), *_wrong(result, uid)]
    return {"training": result, "asked": asked, **sides, "said": done.stderr.splitlines(), "differences": differences}


def _limits(text: str) -> dict[str, Any]:
    found = cgroup.read(text)._asdict()
    return {name: found[name] for name in ("memory", "memory_swap", "cpus", "cpuset", "pids")}


def _outside(pid: int) -> dict[str, Any]:
    """From the container's own group, in the machine's tree of control groups."""
    groups = {}
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        groups.update(dict.fromkeys(controllers.split(","), path))  # version 2: ""
    text = ""
    for name in cgroup.FILES:
        controller, slash, _ = name.removeprefix("/sys/fs/cgroup/").partition("/")
        mount = f"/sys/fs/cgroup/{controller}" if slash else "/sys/fs/cgroup"
        file = Path(mount + groups.get(controller if slash else "", "/-") + name.removeprefix(mount))
        if file.is_file():
            text += f"== {name}\n{file.read_text()}"
    shm = os.statvfs(f"/proc/{pid}/root/dev/shm")
    return {**_limits(text), "shm": shm.f_blocks * shm.f_frsize, "affinity": sorted(os.sched_getaffinity(pid))}


def _differences(sides: dict[str, dict[str, Any]], asked: dict[str, Any]) -> list[str]:
    return [
        f"{name}: asked {wanted}, {side} {told[name]}"
        for side, told in sides.items()
        for name, wanted in asked.items()
        if name in told and told[name] != wanted
    ]


def _wrong(result: dict[str, Any], uid: int) -> list[str]:
    found = []
    if not result["losses"][-1] < result["losses"][0] / 2:
        found.append(f"the loss does not fall: {result['losses']}")
    if {result["user"], result["owner of what it wrote"]} != {uid}:
        found.append(f"it is not user {uid}'s: {result['user']} inside, {result['owner of what it wrote']} outside")
    return found
