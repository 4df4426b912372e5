"""Taking over from NVIDIA's toolkit, and giving back."""

import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from gpudock import publish
from gpudock.errors import HostError, RefusedError
from gpudock.proc import Result
from gpudock.refresh.adopt import UNITS, adopt, undo
from gpudock.refresh.paths import Paths
from unit.recorded import Recorder


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(*(f"{tmp_path}/{name}" for name in ("state", "run", "cdi", "libexec")))


def theirs(tmp_path: Path, *names: str) -> list[str]:
    found = []
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"spec {name}")
        path.chmod(0o640)
        found.append(str(path))
    return found


def systemctl(enabled: tuple[str, ...] = UNITS) -> Recorder:
    answers: dict[tuple[str, ...], Result | str] = {
        ("systemctl", "is-enabled", "--quiet", unit): Result(0 if unit in enabled else 1, "", "") for unit in UNITS
    }
    return Recorder({**answers, ("systemctl",): ""})


def verbs(recorder: Recorder) -> list[tuple[str, ...]]:
    return [command.argv[1:] for command in recorder.asked if command.argv[1] != "is-enabled"]


def test_there_and_back(tmp_path: Path, paths: Paths) -> None:
    specs = theirs(tmp_path, "etc/nvidia.yaml", "run/nvidia.yaml")
    taking = systemctl()
    done = adopt(specs, paths, taking)
    assert not any(os.path.exists(path) for path in specs)
    assert verbs(taking) == [("disable", "--now", unit) for unit in UNITS]
    assert len(done) == 4
    assert stat.S_IMODE(os.stat(f"{paths.state}/adopted").st_mode) == 0o700

    os.mkdir(paths.cdi)
    for name in ("gpudock.json", "gpudock-gds.json", "somebody.json"):
        Path(paths.cdi, name).touch()
    giving = systemctl(())
    undo(paths, giving)
    assert [Path(path).read_text() for path in specs] == ["spec etc/nvidia.yaml", "spec run/nvidia.yaml"]
    assert [stat.S_IMODE(os.stat(path).st_mode) for path in specs] == [0o640, 0o640]
    assert verbs(giving) == [("enable", "--now", unit) for unit in UNITS]
    assert os.listdir(paths.cdi) == ["somebody.json"]  # ours are gone, all of them
    assert os.listdir(f"{paths.state}/adopted") == []
    with pytest.raises(RefusedError, match="nothing to undo"):
        undo(paths, giving)


def test_only_units_that_were_on_are_switched_on_again(tmp_path: Path, paths: Paths) -> None:
    adopt(theirs(tmp_path, "nvidia.yaml"), paths, systemctl((UNITS[1],)))
    giving = systemctl(())
    undo(paths, giving)
    assert verbs(giving) == [("enable", "--now", UNITS[1])]


def test_without_systemd(tmp_path: Path, paths: Paths) -> None:
    (spec,) = theirs(tmp_path, "nvidia.yaml")
    assert adopt([spec], paths, Recorder({})) == [f"moved {spec} to {paths.state}/adopted/0-nvidia.yaml"]
    assert undo(paths, Recorder({})) == [f"put back {spec}"]


def test_a_specification_that_came_back_is_adopted_again(tmp_path: Path, paths: Paths) -> None:
    """An upgrade of the toolkit wrote it anew: the newest is given back, and the units are not forgotten."""
    specs = theirs(tmp_path, "nvidia.yaml")
    adopt(specs, paths, systemctl())
    Path(specs[0]).write_text("newer")
    adopt(specs, paths, systemctl(()))
    giving = systemctl(())
    undo(paths, giving)
    assert Path(specs[0]).read_text() == "newer"
    assert len(verbs(giving)) == 2


def test_a_take_over_that_was_cut_short_can_be_undone(tmp_path: Path, paths: Paths) -> None:
    """The record is written first: what was not moved yet is still there, what was moved comes back."""
    specs = theirs(tmp_path, "a.yaml", "b.yaml")
    adopt(specs, paths, systemctl())
    os.rename(f"{paths.state}/adopted/1-b.yaml", specs[1])
    undo(paths, systemctl(()))
    assert [Path(path).read_text() for path in specs] == ["spec a.yaml", "spec b.yaml"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"specs": 1, "units": []}', '{"units": [1]}'])
def test_a_broken_record_is_named(paths: Paths, text: str) -> None:
    os.makedirs(f"{paths.state}/adopted")
    Path(f"{paths.state}/adopted/record.json").write_text(text)
    with pytest.raises(HostError, match=r"record\.json"):
        undo(paths, systemctl())


def test_two_of_one_name_are_never_mixed_up(tmp_path: Path, paths: Paths) -> None:
    """The toolkit's unit wrote both again, one after the other: each goes back to its own place."""
    etc, run = theirs(tmp_path, "etc/nvidia.yaml", "run/nvidia.yaml")
    for path in (etc, run, etc, run):
        text = f"of {path}"
        Path(path).write_text(text)
        adopt([path], paths, systemctl())
    assert sorted(os.listdir(f"{paths.state}/adopted")) == ["0-nvidia.yaml", "1-nvidia.yaml", "record.json"]
    undo(paths, systemctl(()))
    assert [Path(path).read_text() for path in (etc, run)] == [f"of {etc}", f"of {run}"]


@pytest.mark.parametrize(
    "action", [lambda paths: adopt([], paths, systemctl()), lambda paths: undo(paths, systemctl())]
)
def test_a_refresh_at_the_same_time_is_waited_for(paths: Paths, action: Callable[[Paths], object]) -> None:
    adopt([], paths, systemctl())
    worker = threading.Thread(target=action, args=(paths,))
    with publish.lock(paths.lock):
        worker.start()
        worker.join(0.05)
        assert worker.is_alive()
    worker.join(10)
    assert not worker.is_alive()
