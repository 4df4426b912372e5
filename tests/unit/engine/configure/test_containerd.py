"""containerd's files, and its containers."""

import base64
import json
from pathlib import Path

import pytest

from gpudock.engine.configure import containerd
from gpudock.errors import EngineError, RefusedError
from gpudock.host.root import Root
from gpudock.proc import Command, Result
from unit.engine.configure import shapes
from unit.engine.configure.shapes import PROGRAM, WISH
from unit.recorded import Recorder, fill

CONFIG = "/etc/containerd/config.toml"
VERSION = "containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u1\n"


class Containerd:
    """containerd 1 prints the file that it is given."""

    def __init__(self, folder: Path) -> None:
        text = shapes.CONTAINERD[0].read_text()
        socket = "/run/containerd/containerd.sock"
        self.machine = fill(folder, {CONFIG: text, "/usr/lib/systemd/system/containerd.service": "", socket: ""})
        self.file = folder / CONFIG[1:]
        self.says: str | None = None
        self.uses = ""

    def __call__(self, command: Command) -> Result:
        match command.argv:
            case ("containerd", "--version"):
                return Result(0, VERSION, "")
            case ("ctr", "namespaces", *_):
                return Result(0, "k8s.io\n", "")
            case ("ctr", _, "k8s.io", "containers", "list", _):
                return Result(0, "pod1\npod2\n", "")
            case ("ctr", _, "k8s.io", "containers", "info", name):
                value = base64.b64encode(b"2" + bytes((len(PROGRAM),)) + PROGRAM.encode()).decode()
                options = {"type_url": "containerd.runc.v1.Options", "value": value} if name == self.uses else None
                return Result(0, json.dumps({"Runtime": {"Name": "io.containerd.runc.v2", "Options": options}}), "")
            case ("containerd", *_):
                return Result(1, "", self.says) if self.says else Result(0, self.file.read_text(), "")
            case _:
                raise AssertionError(command.argv)

    def configure(self) -> list[str]:
        work = containerd.plan(WISH, self.machine, Root("/nowhere"), CONFIG, self, restart=False)
        return work.apply()

    def undo(self) -> list[str]:
        return containerd.undo(self.machine, Root("/nowhere"), CONFIG, self, restart=False).apply()


def test_there_and_back(tmp_path: Path) -> None:
    engine = Containerd(tmp_path)
    assert engine.configure()[-2:] == [
        "containerd confirms the settings",
        "containerd reads this when it is restarted: in the way that it was started",
    ]
    assert PROGRAM in engine.file.read_text()
    engine.undo()
    assert engine.file.read_bytes() == shapes.CONTAINERD[0].read_bytes()
    assert engine.machine.names("/etc/containerd") == ["config.toml"]


def test_a_container_of_any_namespace_keeps_it(tmp_path: Path) -> None:
    engine = Containerd(tmp_path)
    engine.configure()
    engine.uses = "pod2"
    with pytest.raises(RefusedError) as told:
        engine.undo()
    assert "pod2 (namespace k8s.io)" in told.value.why
    assert PROGRAM in engine.file.read_text()


def test_what_containerd_cannot_read_already_is_not_touched(tmp_path: Path) -> None:
    engine = Containerd(tmp_path)
    engine.says = "containerd: failed to load TOML\n"
    with pytest.raises(EngineError) as told:
        engine.configure()
    assert told.value.why == "containerd: failed to load TOML"
    assert engine.file.read_bytes() == shapes.CONTAINERD[0].read_bytes()


def test_the_file_is_the_one_that_the_unit_names(tmp_path: Path) -> None:
    unit = "ExecStart=/usr/bin/containerd -c /srv/containerd.toml\n"
    machine = fill(tmp_path, {"/usr/lib/systemd/system/containerd.service": unit})
    assert containerd.config_path(machine, None) == "/srv/containerd.toml"
    assert containerd.config_path(machine, "/x") == "/x"
    assert containerd.config_path(Root("/nowhere"), None) == CONFIG


def test_a_containerd_that_does_not_run_has_no_containers() -> None:
    assert containerd.using(Recorder({("ctr",): Result(1, "", "cannot dial")})) == ()
