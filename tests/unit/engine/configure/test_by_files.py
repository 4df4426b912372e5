"""Engines that read files when they start: restarted, and brought back."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpudock.engine.configure import by_files
from gpudock.engine.configure.by_files import ByFiles
from gpudock.engine.configure.change import FileChange, read
from gpudock.engine.configure.service import Manager
from gpudock.errors import EngineError
from gpudock.proc import Result
from unit.recorded import Recorder, fill

UNIT = Manager("crio.service")


def work(folder: Path, run: Recorder, address: str, *, restart: bool = True) -> ByFiles:
    file = read(fill(folder, {"/etc/x": "old"}), "/etc/x")
    return ByFiles("crio", (FileChange(file, b"new"),), lambda: "", run, UNIT, address, restart)


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[str]:
    path = f"{tmp_path}/s"
    with socket.socket(socket.AF_UNIX) as found:
        found.bind(path)
        found.listen()
        yield path


def test_a_restart_is_done_and_seen(tmp_path: Path, listening: str) -> None:
    run = Recorder({("systemctl",): ""})
    assert work(tmp_path, run, listening).apply()[-2:] == [
        "crio confirms the settings",
        "crio was restarted: its containers go on",
    ]
    assert [each.argv for each in run.asked] == [("systemctl", "restart", "crio.service")]
    assert (tmp_path / "etc/x").read_text() == "new"


def test_without_restart_the_command_is_told(tmp_path: Path) -> None:
    run = Recorder({})
    assert "sudo systemctl restart crio.service" in work(tmp_path, run, "", restart=False).apply()[-1]
    assert run.asked == []


def test_an_engine_that_does_not_come_up_gets_its_old_files_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(by_files, "PATIENCE", 0.0)
    run = Recorder({("systemctl",): ""})
    with pytest.raises(EngineError) as told:
        work(tmp_path, run, f"{tmp_path}/nobody").apply()
    assert "nobody listens" in told.value.why
    assert "but crio does not run" in told.value.why
    assert len(run.asked) == 2
    assert (tmp_path / "etc/x").read_text() == "old"


def test_a_refused_restart_takes_the_files_back(tmp_path: Path) -> None:
    run = Recorder({("systemctl",): Result(1, "", "Job for crio.service failed.\n")})
    with pytest.raises(EngineError, match="systemctl restart"):
        work(tmp_path, run, f"{tmp_path}/nobody").apply()
    assert (tmp_path / "etc/x").read_text() == "old"
