"""Calls of compose on a machine with two GPUs, an engine of any kind, and every compose program that is wanted."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from gpudock.compat.compose import compose, drop_in, plugin, words
from gpudock.compat.compose.reach import Tools
from gpudock.compat.compose.session import Session, Start
from gpudock.engine.detect import Machine
from gpudock.engine.endpoint import Files
from gpudock.engine.local import Here
from gpudock.proc import Command, Result
from unit.cdi import specs
from unit.engine.machine import own, places
from unit.recorded import Recorder

DATA = Path(__file__).parents[3] / "data/compose"
CASES: dict[str, dict[str, Any]] = json.loads((DATA / "cases.json").read_text())
ABSENT = Result(1, "", "Error: No such image: x")


def no_plugin(*asked: object) -> tuple[int, bytes]:
    raise ConnectionRefusedError(111, f"Connection refused: {asked}")


def info(*, cdi: bool = True, runtimes: tuple[str, ...] = (), version: str = "28.0.0") -> str:
    return json.dumps(
        {
            "ServerVersion": version,
            "Runtimes": {name: {} for name in ("runc", *runtimes)},
            "CDISpecDirs": ["/CDI"] if cdi else [],
            "KernelVersion": "6.1.0",
            "SecurityOptions": [],
        }
    )


class Lab:
    """`engine`: docker with CDI (cdi), with the runtime gpudock (runtime) or nothing (bare), or podman."""

    def __init__(
        self, folder: Path, patch: pytest.MonkeyPatch, engine: str = "cdi", programs: tuple[str, ...] = ()
    ) -> None:
        self.patch = patch
        self.folder = folder / "project"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.run_folder = folder / "run"
        self.where = places(folder / "gpudock")
        self.plan = own(self.where)
        told = info(cdi=engine == "cdi", runtimes=("gpudock",) if engine == "runtime" else ())
        told = told.replace("/CDI", self.where.cdi)
        if engine == "podman":  # it always looks in the same folders
            self.patch.setattr("gpudock.engine.podman.CDI_FOLDERS", (self.where.cdi,))
        self.recorder = Recorder(
            {
                ("docker", "info", "--format", "{{json .}}"): told,
                ("docker", "info"): "[]",
                ("docker", "image"): ABSENT,
                ("podman", "--version"): "podman version 4.3.1",
                ("podman", "image"): Result(125, "", "Error: x: image not known"),
            }
        )
        usual = ("podman", "podman-compose") if engine == "podman" else ("docker", "docker-compose")
        self.programs = programs or usual
        self.there: set[str] = {"/var/run/docker.sock"}
        self.environment: dict[str, str] = {"HOME": str(folder), "PATH": "/usr/bin"}
        self.fetch: plugin.Fetch = no_plugin

    def session(self) -> Session:
        machine = Machine(
            self.environment,
            lambda name: f"/usr/bin/{name}" if name in self.programs else None,
            lambda path: path in self.there,
            Files(lambda _: None, lambda _: []),
            "6.1.0",
            root=True,
        )
        here = Here((self.where,), (self.where.cdi,))
        tools = Tools(self._run, machine, here, None)
        return Session(str(self.folder), self.environment, str(self.run_folder), tools, self.fetch)

    def _run(self, command: Command) -> Result:
        return self.recorder(command)

    def compose(self, *given: str) -> Start:
        return compose.start(words.scan(given, compose.GRAMMAR), self.session())

    def drop_in(self, *given: str) -> Start:
        return drop_in.start(words.scan(given, drop_in.GRAMMAR), self.session())

    def write(self, **files: str) -> None:
        """docker_compose_yml="..." writes docker-compose.yml."""
        for name, text in files.items():
            stem, _, end = name.rpartition("_")
            (self.folder / f"{stem.replace('_', '-')}.{end}").write_text(text)

    def case(self, name: str) -> dict[str, Any]:
        """Copy a case of the corpus here; returns what is expected of it."""
        shutil.copytree(DATA / name, self.folder, dirs_exist_ok=True)
        return CASES[name]


def services(start: Start) -> dict[str, Any]:
    """The services of the made files, later files last, merged as far as these tests need it."""
    found: dict[str, Any] = {}
    words = [*zip(start.argv, start.argv[1:], strict=False)]
    names = [path for word, path in words if word == "-f" and path.endswith((".yml", ".yaml"))]
    for path in names or start.texts:
        text = start.texts[path] if path in start.texts else Path(path).read_text()
        for name, body in (yaml.safe_load(text).get("services") or {}).items():
            old = found.setdefault(name, {})
            for key, value in body.items():
                both = key in {"devices", "volumes"} and key in old
                old[key] = old[key] + value if both else value
    return found


def reserved(body: dict[str, Any]) -> list[Any]:
    return list(body.get("deploy", {}).get("resources", {}).get("reservations", {}).get("devices", []))


def gpus_of(body: dict[str, Any]) -> list[int]:
    """The numbers of the GPUs that a service of a made file gets, in whichever way."""
    names = [str(name) for name in body.get("devices", [])]
    for entry in reserved(body):
        names += entry["device_ids"] if entry["driver"] in {"cdi", "nvidia"} else []
    environment = body.get("environment", {})
    pairs = environment.items() if isinstance(environment, dict) else (each.split("=", 1) for each in environment)
    names += dict(pairs).get("NVIDIA_VISIBLE_DEVICES", "").split(",") if body.get("runtime") == "gpudock" else []
    uuids = [gpu["uuid"] for gpu in specs.plan(2)["gpus"]]
    found: set[int] = set()
    for name in names:
        bare = name.removeprefix("nvidia.com/gpu=")
        if bare.startswith("all"):
            found |= {0, 1}
        elif bare in uuids:
            found.add(uuids.index(bare))
        elif bare.removeprefix("/dev/nvidia").partition(":")[0].isdecimal():
            found.add(int(bare.removeprefix("/dev/nvidia").partition(":")[0]))
        elif bare != name:
            found.add(int(bare.partition(".")[0]))
    return sorted(found)
