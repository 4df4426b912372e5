"""Folders that look like /proc, /sys/fs/cgroup and the few files of / that say who is who."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from gpudock.engine.base import Client
from gpudock.host.root import Root
from gpudock.monitor.attribute import Machine
from gpudock.monitor.cgroup import place
from gpudock.monitor.known import Containers
from gpudock.proc import Command, Result

OURS, THEIRS = "mnt:[4026531841]", "mnt:[4026532999]"
INITIAL = "pid:[4026531836]"


class Engine(NamedTuple):
    """As much of an engine's client as reading containers needs."""

    name: str

    @property
    def words(self) -> tuple[str, ...]:
        return (self.name,)


class Tree:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.first: dict[
            str, int
        ] = {}  # process of a container, by its id: the first that is written in a cgroup of it
        self.asked: list[tuple[str, ...]] = []
        self.answers: dict[str, dict[str, Any]] = {}  # "docker" -> id -> what inspect says
        self.engines: dict[int, tuple[str, ...]] = {0: ("docker", "podman")}
        self.broken: set[str] = set()
        self.write("proc/stat", "cpu  1 2 3\nbtime 1795990000\n")
        self.link("proc/self/ns/mnt", OURS)
        self.link("proc/self/ns/pid", INITIAL)
        self.write(
            "etc/passwd", "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/:/bin/sh\nbob:x:1001:1001::/:/bin/sh\n"
        )
        self.write("etc/subuid", "bob:231072:65536\n")

    def write(self, path: str, text: str) -> None:
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def link(self, path: str, target: str) -> None:
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        place.symlink_to(target)

    def process(
        self, pid: int, cgroup: str, *, uid: int = 0, name: str = "python3", start: int = 5000, mounts: str = ""
    ) -> None:
        numbers = " ".join(["1"] * 17)
        self.write(f"proc/{pid}/stat", f"{pid} ({name}) S {numbers} 0 {start} 1000 100\n")
        self.write(f"proc/{pid}/status", f"Name:\t{name}\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n")
        self.write(f"proc/{pid}/cgroup", cgroup)
        self.first = dict.fromkeys(place(cgroup).ids, pid) | self.first
        self.write(f"proc/{pid}/cmdline", f"{name}\0train.py\0--token=secret\0")
        self.write(f"proc/{pid}/mountinfo", mounts)
        self.link(f"proc/{pid}/ns/mnt", THEIRS if mounts else OURS)

    def container(self, engine: str, identity: str, name: str, **labels: str) -> None:
        self.answers.setdefault(engine, {})[identity] = {
            "Id": identity,
            "Name": f"/{name}",
            "Config": {"Image": f"image-of-{name}", "Labels": {key.replace("__", "."): value for key, value in labels.items()}},
            "State": {"Status": "running", "Pid": self.first.get(identity, 0)},
        }  # fmt: skip

    def run(self, command: Command) -> Result:
        self.asked.append(command.argv)
        engine = command.argv[0]
        if engine in self.broken:
            return Result(1, "", "Cannot connect to the Docker daemon")
        known = self.answers.get(engine, {})
        ids = command.argv[command.argv.index("--") + 1 :]
        missing = "".join(f"Error: No such container: {each}\n" for each in ids if each not in known)
        return Result(1 if missing else 0, json.dumps([known[each] for each in ids if each in known]), missing)

    def clients(self, user: int) -> tuple[Client, ...]:
        return tuple(Engine(name) for name in self.engines.get(user, ()))  # type: ignore[misc]

    def machine(self, *, commands: bool = False, simulated: bool = False) -> Machine:
        root, proc, sys = (Root(str(self.folder / part)) for part in ("", "proc", "sys"))
        containers = Containers(self.clients, self.run, proc)
        return Machine(root, proc, sys, containers, commands=commands, wait=5.0, simulated=simulated)
