"""CRI-O's drop-in file."""

import json
import tomllib
from pathlib import Path

import pytest

from gpudock.engine.configure import crio
from gpudock.errors import EngineError, RefusedError
from gpudock.host.root import Root
from gpudock.proc import Command, Result
from unit.engine.configure import shapes
from unit.engine.configure.shapes import PROGRAM, WISH
from unit.recorded import fill

DROP_IN = crio.DROP_IN[1:]


class Crio:
    """`crio config`: the settings of a file, with the drop-in over them, as CRI-O merges its tables."""

    def __init__(self, folder: Path, shape: str) -> None:
        self.machine = fill(folder, {"/etc/crio/crio.conf.d/10-crio.conf": "", "/etc/hostname": "x"})
        self.base = (shapes.FOLDER / f"crio/{shape}.toml").read_text()
        self.deaf = False

    def __call__(self, command: Command) -> Result:
        assert command.argv == ("crio", "config")
        file = Path(self.machine.host(crio.DROP_IN))
        if self.deaf or not file.exists():
            return Result(0, self.base, "")
        merged = tomllib.loads(self.base)["crio"]["runtime"]
        over = tomllib.loads(file.read_text())["crio"]["runtime"]
        merged = {**merged, **over, "runtimes": {**merged["runtimes"], **over["runtimes"]}}
        lines = [f"default_runtime = {json.dumps(merged['default_runtime'])}"]
        for name, entry in merged["runtimes"].items():
            lines += [f"[crio.runtime.runtimes.{name}]", *(f"{key} = {json.dumps(entry[key])}" for key in entry)]
        return Result(0, "[crio.runtime]\n" + "\n".join(lines) + "\n", "")

    def configure(self, wish: object = WISH) -> list[str]:
        assert isinstance(wish, type(WISH))
        return crio.plan(wish, self.machine, Root("/nowhere"), self, restart=False).apply()

    def undo(self) -> list[str]:
        return crio.undo(self.machine, Root("/nowhere"), self, restart=False).apply()


@pytest.mark.parametrize("shape", ["crun", "runc-openshift"])
def test_the_runtime_has_the_monitor_and_annotations_of_the_default_one(tmp_path: Path, shape: str) -> None:
    engine = Crio(tmp_path, shape)
    engine.configure(WISH._replace(default=True))
    written = tomllib.loads((tmp_path / DROP_IN).read_text())["crio"]["runtime"]
    theirs = tomllib.loads(engine.base)["crio"]["runtime"]
    theirs = theirs["runtimes"][theirs["default_runtime"]]
    assert written["default_runtime"] == "gpudock"
    entry = written["runtimes"]["gpudock"]
    assert (entry["runtime_path"], entry["runtime_type"]) == (PROGRAM, "oci")
    for key in ("monitor_path", "monitor_cgroup", "allowed_annotations", "runtime_root"):
        assert entry.get(key) == theirs.get(key)
    assert "" not in entry.values()
    engine.configure()  # the default stays when nothing is said of it
    assert tomllib.loads((tmp_path / DROP_IN).read_text())["crio"]["runtime"] == written
    engine.undo()
    assert engine.machine.names("/etc/crio/crio.conf.d") == ["10-crio.conf"]


def test_what_crio_does_not_take_is_taken_back(tmp_path: Path) -> None:
    engine = Crio(tmp_path, "crun")
    engine.deaf = True
    with pytest.raises(EngineError) as told:
        engine.configure()
    assert told.value.why == "crio config names no runtime gpudock; the old files are back"
    assert not (tmp_path / DROP_IN).exists()


def test_a_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    engine = Crio(tmp_path, "crun")
    (tmp_path / DROP_IN).write_text("[crio]\n")
    with pytest.raises(RefusedError, match="is not gpudock's"):
        engine.configure()
    assert (tmp_path / DROP_IN).read_text() == "[crio]\n"


def test_a_container_that_names_it_keeps_it(tmp_path: Path) -> None:
    engine = Crio(tmp_path, "crun")
    engine.configure()
    folder = tmp_path / "var/lib/containers/storage/overlay-containers/aa/userdata"
    folder.mkdir(parents=True)
    annotations = {crio.HANDLER: "gpudock", "io.kubernetes.cri-o.Name": "k8s_train"}
    (folder / "config.json").write_text(json.dumps({"annotations": annotations}))
    with pytest.raises(RefusedError) as told:
        engine.undo()
    assert "k8s_train" in told.value.why
    assert (tmp_path / DROP_IN).exists()
    (folder / "config.json").write_text("{")
    assert engine.undo()[-1].startswith("crio reads this when it is restarted")
