"""Docker forgets the runtime."""

import json
import os
from pathlib import Path

import pytest

from gpudock.engine.configure import docker_configure, docker_undo
from gpudock.engine.configure.wish import Settings
from gpudock.errors import RefusedError
from gpudock.proc import Command, Result
from unit.engine.configure.dockers import FakeDocker
from unit.engine.configure.shapes import DAEMON, WISH, name


def configured(docker: FakeDocker) -> None:
    wish = WISH._replace(default=True)
    docker_configure.plan(docker.found(), wish, docker.machine, docker, restart=True).apply()
    docker.done.clear()


def undo(docker: FakeDocker, *, restart: bool = False) -> list[str]:
    return docker_undo.plan(docker.found(), docker.machine, docker, restart=restart).apply()


@pytest.mark.parametrize("path", [path for path in DAEMON if path.read_bytes().strip()], ids=name)
def test_a_running_docker_is_led_back_without_a_crash(tmp_path: Path, path: Path) -> None:
    docker = FakeDocker(tmp_path, path.read_bytes().decode())
    docker.file.write_bytes(path.read_bytes())
    before = docker.runtimes
    configured(docker)
    undo(docker)
    assert docker.up
    assert docker.file.read_bytes() == path.read_bytes()
    assert docker.default == json.loads(path.read_text()).get("default-runtime", "runc")
    assert docker.runtimes == before
    assert {each.split()[0] for each in docker.done} == {"reload"}
    assert sorted(each.name for each in docker.file.parent.iterdir()) == ["daemon.json", "key.json"]
    assert not (tmp_path / "usr/local/bin/nvidia-container-runtime-hook").is_symlink()


@pytest.mark.parametrize(("version", "running"), [("20.10.24", "runc"), ("28.5.2", "io.containerd.kata.v2")])
def test_a_shim_that_was_the_default_comes_back(tmp_path: Path, version: str, running: str) -> None:
    text = '{"default-runtime": "io.containerd.kata.v2"}'
    docker = FakeDocker(tmp_path, "{}", version)
    docker.file.write_text(text)
    configured(docker)
    undo(docker)
    assert (docker.up, docker.default) == (True, running)
    assert docker.file.read_text() == text


def test_what_somebody_else_writes_meanwhile_stays(tmp_path: Path) -> None:
    docker = FakeDocker(tmp_path, "{}")
    configured(docker)
    theirs = docker.file.read_text().replace("{", '{"debug": true, ', 1)

    def run(command: Command) -> Result:
        answer = docker(command)
        if command.argv[:2] == ("systemctl", "reload"):
            docker.file.write_text(theirs)
        return answer

    with pytest.raises(RefusedError, match=r"daemon.json has changed meanwhile") as told:
        docker_undo.plan(docker.found(), docker.machine, run, restart=False).apply()
    assert told.value.mend == "run it again"
    assert docker.file.read_text() == theirs
    assert docker.up
    undo(docker)
    assert json.loads(docker.file.read_text()) == {"debug": True}


def test_a_file_that_was_made_goes(tmp_path: Path) -> None:
    docker = FakeDocker(tmp_path, None, "26.1.5")
    configured(docker)
    assert docker.info().out.count("/etc/cdi") == 1
    lines = undo(docker, restart=True)
    assert not docker.file.exists()
    assert docker.info().out.count("/etc/cdi") == 0
    assert lines[-1] == "docker was restarted"


def test_a_file_that_docker_is_told_of_stays(tmp_path: Path) -> None:
    docker = FakeDocker(tmp_path, None)
    docker.found("--config-file /etc/docker/daemon.json")
    configured(docker)
    undo(docker)
    assert docker.file.read_text() == "{}\n"


def test_nothing_changes_while_a_container_names_the_runtime(tmp_path: Path) -> None:
    docker = FakeDocker(tmp_path, '{"runtimes": {"other": {"path": "/o"}}}')
    configured(docker)
    text = docker.file.read_text()
    docker.containers = "/train\tgpudock\texited\n"
    with pytest.raises(RefusedError) as told:
        undo(docker)
    assert "train (exited)" in told.value.why
    assert "--no-default" in told.value.mend
    assert docker.file.read_text() == text
    assert docker.done == []


def test_a_docker_that_is_down_is_asked_by_its_files(tmp_path: Path) -> None:
    docker = FakeDocker(tmp_path, json.dumps({"data-root": str(tmp_path / "data")}))
    configured(docker)
    docker.up = False
    folder = tmp_path / "data/containers/aa"
    folder.mkdir(parents=True)
    (folder / "hostconfig.json").write_text('{"Runtime": "gpudock"}')
    (folder / "config.v2.json").write_text('{"Name": "/train"}')
    with pytest.raises(RefusedError, match="1 container names the runtime gpudock"):
        undo(docker)
    (folder / "hostconfig.json").write_text('{"Runtime": "runc"}')
    assert undo(docker)[-1] == "docker does not run"
    assert json.loads(docker.file.read_text()) == {"data-root": str(tmp_path / "data")}


def test_a_failing_step_leaves_docker_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpudock.engine.configure.live.RELOADED", 0.0)
    docker = FakeDocker(tmp_path, "{}")
    configured(docker)
    text = docker.file.read_text()
    docker.stubborn = True
    with pytest.raises(Exception, match="has not taken the new settings"):
        undo(docker)
    assert docker.file.read_text() == text
    assert (docker.up, docker.default) == (True, "gpudock")


def test_what_was_never_configured_is_said(tmp_path: Path) -> None:
    docker = FakeDocker(tmp_path, "{}")
    assert undo(docker) == [docker_undo.NOTHING]
    assert docker.done == []


def test_settings_are_taken_back_and_others_changes_kept(tmp_path: Path) -> None:
    docker = FakeDocker(tmp_path, '{"log-opts": {"max-size": "1m"}}')
    wish = WISH._replace(hook=False, settings=Settings(mirrors=("https://a.example",), log_size="9m", shm_size="1g"))
    docker_configure.plan(docker.found(), wish, docker.machine, docker, restart=True).apply()
    docker.file.write_text(docker.file.read_text().replace('"1g"', '"2g"'))
    undo = docker_undo.plan(docker.found(), docker.machine, docker, restart=False)
    assert undo.notes == ("default-shm-size was changed since gpudock set it, and is left as it is",)
    lines = undo.apply()
    assert json.loads(docker.file.read_text()) == {"log-opts": {"max-size": "1m"}, "default-shm-size": "2g"}
    assert lines[-1] == "docker forgets the rest, registry-mirrors, log-opts, when it is restarted the next time"
    assert sorted(os.listdir(docker.file.parent)) == ["daemon.json", "key.json"]


def test_settings_go_when_the_runtime_was_taken_out_by_hand(tmp_path: Path) -> None:
    docker = FakeDocker(tmp_path, "{}")
    wish = WISH._replace(hook=False, settings=Settings(live_restore=True))
    docker_configure.plan(docker.found(), wish, docker.machine, docker, restart=True).apply()
    docker.file.write_text('{"live-restore": true}')
    docker.load()
    docker_undo.plan(docker.found(), docker.machine, docker, restart=True).apply()
    assert json.loads(docker.file.read_text()) == {}
    assert docker.settings == {}
