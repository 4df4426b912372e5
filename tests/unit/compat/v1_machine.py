"""The machine of tests/data/nvidia-docker: its start plan, a docker that answers from a table, and its plugin."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpudock.compat import v1
from gpudock.compat.v1_remote import Reply
from gpudock.proc import NOT_FOUND, Command, Result
from unit.cdi import specs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gpudock.compat.cli_start import Start
    from gpudock.compat.nv_host import Host
    from gpudock.compat.v1_remote import Fetch
    from gpudock.plan.document import Gpu, Node, Plan

DATA = Path(__file__).parents[2] / "data/nvidia-docker"
CASES: list[dict[str, Any]] = json.loads((DATA / "cases.json").read_text())
FIXTURE: dict[str, Any] = json.loads((DATA / "fixture-3gpu.json").read_text())
CUDA, VOLUMES = "com.nvidia.cuda.version", "com.nvidia.volumes.needed"
LABELLED = {"cuda": {VOLUMES: "nvidia_driver", CUDA: "8.0"}, "plain": {}}
VERSION = ("version", "--format", "{{.Client.Version}}")


def node(path: str, host: str = "") -> Node:
    return {"path": path, "host": host or path, "major": 195, "minor": 0, "mode": 0o666, "uid": 0, "gid": 0}


def plan(*, uvm_tools: bool = False, mig: dict[int, int] | None = None) -> Plan:
    """Of the fixture; `mig`: how many MIG devices which of its GPUs is divided into."""
    made = specs.plan(3, mig)
    for index, (gpu, device) in enumerate(zip(made["gpus"], FIXTURE["Devs"], strict=True)):
        _become(gpu, index, device)
    control = ["/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-modeset"]
    control += ["/dev/nvidia-uvm-tools"] if uvm_tools else []
    for variant in made["variants"].values():
        variant["nodes"] = [node(path) for path in control]
    cuda = FIXTURE["DrvCuda"]
    return {**made, "driver": FIXTURE["Driver"], "cuda": f"{cuda // 1000}.{cuda % 100 // 10}"}


def _become(gpu: Gpu, index: int, device: Mapping[str, Any]) -> None:
    gpu.update({"index": index, "uuid": device["UUID"], "bus_id": device["BusID"], "minor": device["Minor"]})
    gpu["nodes"] = [node(f"/dev/nvidia{device['Minor']}")]


class Machine:
    """Runs what the command line asks for, as a case's `stubs` say, and remembers it."""

    def __init__(self, case: Mapping[str, Any], made: Plan | None = None) -> None:
        self.stubs: Mapping[str, Any] = case.get("stubs", {})
        self.labels: dict[str, Any] = dict(case.get("image_labels", LABELLED))
        self.version: str = case.get("docker_version", "1.12.3")
        self.plan = made or plan()
        self.calls: list[list[str]] = []
        self.warnings: list[str] = []
        self.shown = ""
        self.hosts: list[Host] = []
        self.asked: list[str] = []

    def start(self, *words: str, env: Mapping[str, str] | None = None) -> Start:
        tools = v1.Tools(self.run, self.show, self.warnings.append, lambda: self.plan, self.plugin)
        return v1.start(words, env or {}, tools)

    def run(self, command: Command) -> Result:
        self.calls.append([*command.argv])
        program, *words = command.argv[2:] if command.argv[0] == "sudo" else command.argv
        if program == "nvidia-modprobe":
            return Result(self.stubs.get("modprobe_rc", 0), "", "")
        if program != "docker":
            return Result(NOT_FOUND, "", f"{program}: No such file or directory")
        if words[0] == "version":
            error = self.stubs.get("docker_version_stderr", "")
            return Result(self.stubs.get("docker_version_rc", 0), self.version + "\n", error)
        if words[0] == "volume":
            return self._found(words[2] in self.stubs.get("volumes", []))
        if words[1] == "--type=image":
            return self._found(words[2] in self.labels)
        name = words[1].partition('"')[2].partition('"')[0]
        return Result(0, self.labels[words[2]].get(name, "") + "\n", "")

    def show(self, argv: tuple[str, ...]) -> int:
        self.calls.append([*argv])
        if "pull_stdout" not in self.stubs:
            return 1
        self.shown += self.stubs["pull_stdout"]
        self.labels[argv[-1]] = self.stubs["pull_labels"]
        return 0

    @contextmanager
    def plugin(self, host: Host) -> Iterator[Fetch]:
        self.hosts.append(host)
        yield self.reply

    def reply(self, path: str) -> Reply:
        """As the plugin of the fixture, for what the cases ask."""
        self.asked.append(path)
        if path == "/gpu/info/json":
            return Reply(200, (DATA / "gpu_info_json.out").read_text())
        words = (DATA / "docker_cli.out").read_text()
        if path == "/docker/cli?vol=nvidia_driver&dev=0+1":
            return Reply(200, words.replace(" --device=/dev/nvidia2", ""))
        if path == "/docker/cli?vol=nvidia_driver&dev=9":
            return Reply(400, "invalid device: 9\n")
        assert path == "/docker/cli?vol=nvidia_driver"
        return Reply(200, words)

    def _found(self, there: bool) -> Result:
        return Result(0, "[{}]", "") if there else Result(1, "[]", "Error: No such object")
