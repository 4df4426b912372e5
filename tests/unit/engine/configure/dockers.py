"""A docker that answers as real ones did: it reads daemon.json when systemctl says so, and keeps what it has of it."""

import json
from pathlib import Path

from gpudock.engine import endpoint
from gpudock.engine.configure import dockerd
from gpudock.engine.docker import Docker
from gpudock.host.root import Root
from gpudock.proc import Command, Result, run
from unit.recorded import fill

UNIT = {"/run/systemd/system/x": "", "/usr/lib/systemd/system/docker.service": "ExecStart=/usr/bin/dockerd\n"}
CONFIG = "/etc/docker/daemon.json"
DOWN = Result(1, '{"ServerErrors":["Cannot connect to the Docker daemon"]}', "Cannot connect to the Docker daemon")


class FakeDocker:
    """`judges`: it knows --validate. `dies`: it does not come up with a file that has this text in it."""

    def __init__(self, folder: Path, config: str | None, version: str = "20.10.24", *, judges: bool = False) -> None:
        self.files = UNIT if config is None else {**UNIT, CONFIG: config}
        self.machine: Root = fill(folder, {"/usr/local/bin/x": "", "/etc/docker/key.json": "", **self.files})
        self.file = folder / CONFIG[1:]
        self.version, self.judges, self.dies = version, judges, ""
        self.swarm = "inactive"
        self.stubborn = False  # it takes no reload
        self.runtimes: dict[str, dict[str, object]] = {"runc": {"path": "runc"}}
        self.default, self.cdi, self.up = "runc", False, True
        self.settings: dict[str, object] = {}  # that are in force
        self.containers = ""  # lines of `docker inspect`
        self.done: list[str] = []
        self.load()
        self.done.clear()

    def load(self, *, start: bool = True) -> None:
        text = self.file.read_text() if self.file.exists() else "{}"
        self.done.append(f"{'start' if start else 'reload'} {text}")
        value = json.loads(text)
        if start:
            self.settings = {}
            self.up = not (self.dies and self.dies in text)
            self.runtimes, self.default = {"runc": {"path": "runc"}}, "runc"
            self.cdi = value.get("features", {}).get("cdi") is True and int(self.version[:2]) >= 25
        taken = ("registry-mirrors", "live-restore")
        self.settings |= {key: each for key, each in value.items() if start or key in taken}
        if "runtimes" in value:
            self.runtimes = {"runc": {"path": "runc"}, **value["runtimes"]}
        self.default = value.get("default-runtime", self.default)
        shim = self.default.startswith("io.containerd.") and int(self.version[:2]) >= 23
        self.up = self.up and (self.default in self.runtimes or shim)  # 20.10 crashes

    def __call__(self, command: Command) -> Result:
        if command.argv[:2] == ("systemctl", "stop"):
            self.done.append("stop")
            self.up = False
            return Result(0, "", "")
        if command.argv[0] == "cp":
            assert not self.up, "docker runs while its data are copied"
            self.done.append("copy")
            return run(command)
        return self.answer(command)

    def answer(self, command: Command) -> Result:
        match command.argv:
            case ("docker", "info", *_):
                return self.info()
            case ("systemctl", "reload", _):
                if not self.stubborn:
                    self.load(start=False)
                return Result(0, "", "")
            case ("systemctl", "restart", _):
                self.load()
                return Result(0, "", "") if self.up else Result(1, "", "Job for docker.service failed.")
            case ("docker", "events", *_):
                return Result(0, "" if self.stubborn else "reload\n", "")
            case ("docker", "ps", *_):
                return Result(0, "aa\n", "") if self.containers else Result(0, "", "")
            case ("docker", "container", "inspect", *_):
                return Result(0, self.containers, "")
            case (_, "--validate", _, path):
                if not self.judges:
                    return Result(125, "", "unknown flag: --validate")
                text = Path(path).read_text()
                return (
                    Result(1, "", f"unable to configure with file {path}: bad") if "bad" in text else Result(0, "", "")
                )
            case _:
                raise AssertionError(command.argv)

    def info(self) -> Result:
        if not self.up:
            return DOWN
        told = {
            "ServerVersion": self.version,
            "Runtimes": self.runtimes,
            "DefaultRuntime": self.default,
            "CDISpecDirs": ["/etc/cdi"] if self.cdi else [],
            "ContainersRunning": 3,
            "RegistryConfig": {"Mirrors": [f"{each}/" for each in self.settings.get("registry-mirrors", ())]},  # type: ignore[attr-defined]
            "LiveRestoreEnabled": self.settings.get("live-restore", False),
            "DockerRootDir": self.settings.get("data-root", "/var/lib/docker"),
            "SecurityOptions": ["name=userns"] if "userns-remap" in self.settings else [],
            "Swarm": {"LocalNodeState": self.swarm},
            "KernelVersion": "6.1",
        }
        return Result(0, json.dumps(told), "")

    def found(self, flags: str = "") -> dockerd.Daemon:
        if flags:
            (self.file.parents[2] / "usr/lib/systemd/system/docker.service").write_text(f"ExecStart=dockerd {flags}\n")
        client = Docker("/usr/bin/docker", endpoint.Endpoint("unix:///nowhere/docker.sock"), {}, "6.1")
        place = dockerd.Place(self.machine, Root("/nowhere"), 0, "/root/.config")
        return dockerd.find(client, self, place, None)
