"""Looks at one running container from the host's side, in a process of its own that has a deadline: what a container
mounts may hang. Standard library only; run by `inside`, never imported by it.

    python3 -c … PID '{"195:255": "/dev/nvidiactl"}'     nodes of the host to try, by their numbers

It joins the container's control group, where the kernel then judges it as it judges the container, and opens the host's
own nodes: never one of the container's. It ends at once afterwards.
"""

import json
import os
import re
import stat
import sys
from itertools import islice

NAMES = 4096  # in a /dev
_NODE = re.compile(r"nvidia[0-9]{1,4}|nvidiactl|nvidia-uvm(?:-tools)?|nvidia-modeset")
_DRIVER = re.compile(r"\.so\.(\d{3,}\.\d+(?:\.\d+)?) |/(\d{3,}\.\d+(?:\.\d+)?)-[0-9a-f]{12}[/ ]")
_CGROUPS = "/sys/fs/cgroup"


def nodes(pid: int) -> dict[str, str]:
    """NVIDIA's nodes in its /dev: name -> "195:0"."""
    root = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    folder = os.open("dev", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=root)
    found = {}
    with os.scandir(folder) as entries:
        for entry in islice(entries, NAMES):
            if not _NODE.fullmatch(entry.name):
                continue
            seen = os.stat(entry.name, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISCHR(seen.st_mode):
                found[entry.name] = f"{os.major(seen.st_rdev)}:{os.minor(seen.st_rdev)}"
    return found


def drivers(pid: int) -> list[str]:
    """Versions that the sources of its mounts carry."""
    with open(f"/proc/{pid}/mountinfo", encoding="utf-8", errors="replace") as file:
        return sorted({match[1] or match[2] for match in _DRIVER.finditer(file.read(8 << 20))})


def group(pid: int) -> str:
    """The folder of the control group that rules its devices; "" when it cannot be told."""
    with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="replace") as file:
        rows = [line.rstrip("\n").split(":", 2) for line in file.read(1 << 16).splitlines()]
    own = next((path for _, names, path in rows if "devices" in names.split(",")), "")
    unified = next((path for number, names, path in rows if number == "0" and not names), "")
    path, folder = (own, f"{_CGROUPS}/devices") if own else (unified, _CGROUPS)
    return "" if path in {"", "/"} or ".." in path.split("/") else folder + path


def refused(folder: str, tried: dict[str, str]) -> list[str]:
    """Numbers of the nodes that this control group forbids."""
    with open(f"{folder}/cgroup.procs", "w", encoding="ascii") as file:
        file.write(str(os.getpid()))
    found = []
    for number, path in tried.items():
        try:
            os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))
        except PermissionError:
            found.append(number)
        except OSError:
            continue  # allowed; the driver has its own reasons
    return found


def main() -> None:
    pid, offered = int(sys.argv[1]), json.loads(sys.argv[2])
    has, folder = nodes(pid), group(pid)
    answer = {"nodes": has, "drivers": drivers(pid), "group": folder, "refused": []}
    tried = {number: path for number, path in offered.items() if number in has.values()}
    if folder and tried:
        sys.stdout.write(json.dumps(answer) + "\n")  # should the control group be frozen, this much is known
        sys.stdout.flush()
        answer["refused"] = refused(folder, tried)
    sys.stdout.write(json.dumps(answer) + "\n")
