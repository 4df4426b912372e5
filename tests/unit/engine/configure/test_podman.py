"""podman's drop-in file."""

import tomllib
from pathlib import Path

import pytest

from gpudock.engine.configure import podman
from gpudock.engine.configure.by_files import ByFiles
from gpudock.errors import EngineError, RefusedError
from gpudock.host.root import Root
from gpudock.proc import Result
from unit.engine.configure.shapes import PROGRAM, WISH
from unit.recorded import Recorder, fill

FILE = "etc/containers/containers.conf.d/gpudock.conf"
USED = Result(0, "train\tgpudock\texited\n", "")


def runner(answer: str = f"gpudock {PROGRAM}", ids: str = "") -> Recorder:
    return Recorder(
        {
            ("podman", "--runtime"): answer,
            ("podman", "info"): answer,
            ("podman", "ps"): ids,
            ("podman", "container", "inspect"): USED,
        }
    )


def root(folder: Path) -> Root:
    return fill(folder, {"/etc/containers/policy.json": "{}"})


def configure(machine: Root, run: Recorder, **wish: bool | str) -> ByFiles:
    wanted = WISH._replace(**wish)  # type: ignore[arg-type]
    return podman.plan(wanted, machine, podman.path(0, "/root/.config"), {}, run)


def test_paths_of_root_and_of_a_user() -> None:
    assert podman.path(0, "/root/.config") == "/" + FILE
    assert podman.path(1000, "/home/a/.config") == "/home/a/.config/containers/containers.conf.d/gpudock.conf"


def test_runtimes_add_up_and_go_together(tmp_path: Path) -> None:
    machine, run = root(tmp_path), runner()
    configure(machine, run).apply()
    configure(machine, runner(f"nvidia {PROGRAM}"), name="nvidia", default=True).apply()
    written = tomllib.loads((tmp_path / FILE).read_text())["engine"]
    assert written == {"runtime": "nvidia", "runtimes": {"gpudock": [PROGRAM], "nvidia": [PROGRAM]}}
    configure(machine, run, default=False).apply()
    assert "runtime =" not in (tmp_path / FILE).read_text()
    assert configure(machine, run).apply() == ["podman confirms the settings", "nothing is to be changed"]
    podman.undo(machine, "/" + FILE, {}, runner()).apply()
    assert not (tmp_path / FILE).exists()
    assert podman.undo(machine, "/" + FILE, {}, runner()).describe() == ["nothing is to be changed"]


def test_what_podman_does_not_take_is_taken_back(tmp_path: Path) -> None:
    with pytest.raises(EngineError) as told:
        configure(root(tmp_path), runner("runc /usr/sbin/runc")).apply()
    assert "runc /usr/sbin/runc" in told.value.why
    assert not (tmp_path / FILE).exists()


def test_another_files_default_is_noticed(tmp_path: Path) -> None:
    run = Recorder({("podman", "--runtime"): f"gpudock {PROGRAM}", ("podman", "info"): "crun /usr/bin/crun"})
    with pytest.raises(EngineError) as told:
        configure(root(tmp_path), run, default=True).apply()
    assert "another file sets another default runtime" in told.value.why


def test_a_container_that_names_it_keeps_it(tmp_path: Path) -> None:
    machine = root(tmp_path)
    configure(machine, runner()).apply()
    with pytest.raises(RefusedError) as told:
        podman.undo(machine, "/" + FILE, {}, runner(ids="aa\n")).apply()
    assert "train (exited)" in told.value.why
    assert (tmp_path / FILE).exists()


def test_a_podman_that_reads_another_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError) as told:
        podman.plan(WISH, root(tmp_path), "/" + FILE, {"CONTAINERS_CONF": "/x"}, runner())
    assert "CONTAINERS_CONF is set" in told.value.why
