"""The command line of `gpudock configure`: what may be combined, what is said."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from gpudock.cli.main import main
from gpudock.engine.configure import change
from gpudock.errors import RefusedError
from unit.recorded import fill


def called(*words: str) -> int | str | None:
    with pytest.raises(SystemExit) as ended:
        main(["configure", *words])
    return ended.value.code


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("docker", "--undo", "--no-default"), "--undo cannot be combined with --no-default"),
        (("docker", "--undo", "--swarm-resource", "GPU"), "--undo cannot be combined with --swarm-resource"),
        (("podman", "--hook-name"), "--hook-name is for docker, not for podman"),
        (("crio", "--no-cdi"), "--no-cdi is for docker and containerd, not for crio"),
        (("podman", "--config-file", "/x"), "--config-file is for docker and containerd"),
        (("docker", "--as", "runc"), "cannot be called runc"),
        (("lxc",), "'lxc' is not one of"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(
    words: tuple[str, ...],
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("STATE", "RUN", "LIBEXEC", "CDI"):
        monkeypatch.setenv(f"GPUDOCK_{name}_DIR", str(tmp_path / name))
    assert called(*words) == 2
    assert said in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


def test_an_engine_that_is_not_here_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, {"/bin/x": ""})
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for name in ("STATE", "RUN", "LIBEXEC", "CDI"):
        monkeypatch.setenv(f"GPUDOCK_{name}_DIR", str(tmp_path / name))
    assert called("crio") == 6
    assert "crio is not installed" in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["bin"]


class Planned(NamedTuple):
    """Work that says when it was planned."""

    number: int
    refuses: bool = False
    notes: tuple[str, ...] = ()

    def describe(self) -> list[str]:
        return [f"would do plan {self.number}"]

    def apply(self) -> list[str]:
        if self.refuses:
            raise RefusedError("No.")
        return [f"did plan {self.number}"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("STATE", "RUN", "LIBEXEC", "CDI"):
        monkeypatch.setenv(f"GPUDOCK_{name}_DIR", str(tmp_path / name))
    monkeypatch.setattr("gpudock.refresh.install.installed", lambda *_, **__: ())
    return tmp_path


def planned(monkeypatch: pytest.MonkeyPatch, make: Callable[[int], Planned], lock: Path) -> list[bool]:
    """Whether the lock was held each time that was planned."""
    held: list[bool] = []

    def plan(*_: object) -> Planned:
        held.append(lock.exists() and _is_held(lock))
        return make(len(held))

    monkeypatch.setattr("gpudock.engine.configure.plan.plan", plan)
    return held


def _is_held(lock: Path) -> bool:
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@pytest.mark.parametrize("undo", [[], ["--undo"]])
def test_what_is_done_is_planned_where_no_other_gpudock_is_at_work(
    folder: Path, undo: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    held = planned(monkeypatch, Planned, folder / "RUN/configure.lock")
    assert called("podman", *undo) == 0
    assert held[-1]
    assert capsys.readouterr().out == f"did plan {len(held)}\n"


def test_a_dry_run_takes_no_lock(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert planned(monkeypatch, Planned, folder / "RUN/configure.lock") == []
    assert called("podman", "--dry-run") == 0
    assert "would do plan 1" in capsys.readouterr().out
    assert os.listdir(folder) == []


def settings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = fill(folder, {"/config.toml": "old"})
    change_of = "gpudock.engine.configure.own_settings.plan"
    monkeypatch.setattr(change_of, lambda *_: change.FileChange(change.read(root, "/config.toml"), b"new"))
    return folder / "config.toml"


def test_an_engine_that_is_configured_stays_so_whatever_becomes_of_roots_copy(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> list[str]:
        raise OSError(28, "No space left on device")

    file = settings(folder, monkeypatch)
    held = planned(monkeypatch, Planned, folder / "RUN/configure.lock")
    monkeypatch.setattr("gpudock.cli.configure._program", broken)
    assert called("podman") not in {0, None}
    assert f"did plan {len(held)}" in capsys.readouterr().out
    assert file.read_text() == "new"


def test_an_engine_that_refuses_gets_no_new_settings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = settings(folder, monkeypatch)
    planned(monkeypatch, lambda number: Planned(number, refuses=True), folder / "RUN/configure.lock")
    assert called("podman") == RefusedError.exit_code
    assert file.read_text() == "old"


def test_settings_that_somebody_else_has_changed_meanwhile_stay(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = settings(folder, monkeypatch)

    def make(number: int) -> Planned:
        file.write_text(f"theirs {number}")
        return Planned(number)

    planned(monkeypatch, make, folder / "RUN/configure.lock")
    assert called("podman") == RefusedError.exit_code
    assert "/config.toml has changed meanwhile." in capsys.readouterr().err
    assert file.read_text().startswith("theirs")
