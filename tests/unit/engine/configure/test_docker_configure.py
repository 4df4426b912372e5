"""Docker learns of the runtime."""

import json
from pathlib import Path
from typing import Any

import pytest

from gpudock.engine.configure import docker_configure, userns
from gpudock.engine.configure.wish import Settings, Wish
from gpudock.errors import EngineError, GpudockError, InputError, RefusedError
from gpudock.proc import Command, Result
from unit.engine.configure.dockers import FakeDocker
from unit.engine.configure.shapes import PROGRAM, WISH

HOOK = "usr/local/bin/nvidia-container-runtime-hook"
BARE = WISH._replace(hook=False)


def configure(docker: FakeDocker, wish: object = BARE, *, restart: bool = True, flags: str = "") -> list[str]:
    assert isinstance(wish, type(WISH))
    return docker_configure.plan(docker.found(flags), wish, docker.machine, docker, restart=restart).apply()


def test_a_runtime_needs_a_reload_only(tmp_path: Path) -> None:
    docker = FakeDocker(tmp_path, '{"debug": true}')
    lines = configure(docker, BARE._replace(default=True))
    assert docker.runtimes["gpudock"] == {"path": PROGRAM}
    assert docker.default == "gpudock"
    assert [each.split()[0] for each in docker.done] == ["reload"]
    assert lines[-1] == "docker confirms the settings after a reload: no container was stopped"
    assert (tmp_path / "etc/docker/daemon.json.before-gpudock").read_text() == '{"debug": true}'


def test_without_restart_the_command_is_told(tmp_path: Path) -> None:
    docker = FakeDocker(tmp_path, None)
    lines = configure(docker, restart=False)
    assert docker.done == []
    assert "sudo systemctl reload docker.service" in lines[-1]
    assert json.loads(docker.file.read_text())["runtimes"]["gpudock"] == {"path": PROGRAM}


def test_dry_run_changes_nothing(tmp_path: Path) -> None:
    docker = FakeDocker(tmp_path, "{}")
    shown = docker_configure.plan(docker.found(), WISH, docker.machine, docker, restart=True).describe()
    assert '+  "runtimes": {' in shown[0]
    assert shown[1].startswith("link ")
    assert "that stops 3 running containers" in shown[-1]
    assert docker.file.read_text() == "{}"
    assert docker.done == []
    assert not (tmp_path / HOOK).is_symlink()


def test_cdi_and_the_hooks_name_need_a_restart(tmp_path: Path) -> None:
    docker = FakeDocker(tmp_path, "{}", "26.1.5", judges=True)
    configure(docker, WISH)
    assert docker.cdi
    assert [each.split()[0] for each in docker.done] == ["reload", "start"]
    assert (tmp_path / HOOK).is_symlink()


def test_a_docker_without_cdi_is_not_told_of_it(tmp_path: Path) -> None:
    docker = FakeDocker(tmp_path, "{}")
    configure(docker)
    assert "features" not in docker.file.read_text()


def test_who_has_switched_cdi_off_is_not_overruled(tmp_path: Path) -> None:
    docker = FakeDocker(tmp_path, '{"features": {"cdi": false}}', "26.1.5")
    configure(docker)
    assert json.loads(docker.file.read_text())["features"] == {"cdi": False}
    configure(docker, BARE._replace(cdi=True))
    assert docker.cdi


def test_a_docker_that_takes_no_reload_gets_its_old_file_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpudock.engine.configure.live.RELOADED", 0.0)
    docker = FakeDocker(tmp_path, '{"debug": true}')
    docker.stubborn = True
    with pytest.raises(EngineError) as told:
        configure(docker)
    assert "docker info names no runtime gpudock" in told.value.why
    assert "the old file is back, and docker runs with it" in told.value.why
    assert docker.file.read_text() == '{"debug": true}'
    assert not (tmp_path / "etc/docker/daemon.json.before-gpudock").exists()


def test_a_docker_that_does_not_come_up_runs_again_on_the_old_file(tmp_path: Path) -> None:
    docker = FakeDocker(tmp_path, "{}", "26.1.5")
    docker.dies = "gpudock"
    with pytest.raises(EngineError) as told:
        configure(docker, WISH)
    assert told.value.what == "systemctl restart docker.service failed."
    assert docker.up
    assert docker.file.read_text() == "{}"
    assert not (tmp_path / HOOK).is_symlink()


def test_a_file_that_docker_would_refuse_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpudock.engine.configure.docker_file._program", lambda _: "/usr/bin/dockerd")
    docker = FakeDocker(tmp_path, "{}", "28.5.2", judges=True)
    docker.file.write_text('{"bad": 1}')
    with pytest.raises(InputError) as told:
        configure(docker)
    assert told.value.why == "unable to configure with file /etc/docker/daemon.json: bad"
    assert docker.file.read_text() == '{"bad": 1}'
    assert docker.done == []


@pytest.mark.parametrize("text", ["{", '{"a": 1,}', "[]", '{"a": 1, "a": 2}'])
def test_a_broken_file_stops_nothing(tmp_path: Path, text: str) -> None:
    docker = FakeDocker(tmp_path, "{}")
    docker.file.write_text(text)
    with pytest.raises(InputError):
        configure(docker, WISH)
    assert docker.file.read_text() == text
    assert docker.done == []


@pytest.mark.parametrize(
    ("flags", "wish", "said"),
    [
        ("--default-runtime=nvidia", BARE._replace(default=True), "--default-runtime nvidia"),
        ("--add-runtime nvidia=/usr/bin/n", BARE, "--add-runtime nvidia=/usr/bin/n"),
        ("--feature cdi=true", BARE._replace(cdi=True), "--feature cdi=true"),
    ],
)
def test_flags_that_say_the_same_are_found_before(tmp_path: Path, flags: str, wish: object, said: str) -> None:
    docker = FakeDocker(tmp_path, "{}", "26.1.5")
    with pytest.raises(RefusedError) as told:
        configure(docker, wish, flags=flags)
    assert said in told.value.what
    assert told.value.why == "it stands in /usr/lib/systemd/system/docker.service"
    assert "systemctl daemon-reload" in told.value.mend
    assert docker.file.read_text() == "{}"


def test_the_file_that_a_flag_names_is_the_one(tmp_path: Path) -> None:
    docker = FakeDocker(tmp_path, "{}")
    daemon = docker.found("--config-file /srv/docker.json")
    assert (daemon.config, daemon.explicit) == ("/srv/docker.json", True)
    docker_configure.plan(daemon, BARE, docker.machine, docker, restart=False).apply()
    assert "gpudock" in (tmp_path / "srv/docker.json").read_text()


def test_a_docker_that_is_down_is_configured_for_its_next_start(tmp_path: Path) -> None:
    docker = FakeDocker(tmp_path, "{}")
    docker.up = False
    assert configure(docker, restart=False)[-1] == "docker does not run: the settings hold when it is started"
    assert configure(docker) == ["docker was started and confirms the settings"]


def test_an_old_docker_is_not_restarted_on_a_file_that_it_cannot_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpudock.engine.configure.live.RELOADED", 0.0)
    docker = FakeDocker(tmp_path, "{}")
    configure(docker)
    docker.stubborn, docker.done = True, []
    with pytest.raises(GpudockError, match="so it was not restarted"):
        configure(docker, WISH)
    assert docker.done == []


def with_settings(**values: Any) -> Wish:
    return BARE._replace(settings=Settings()._replace(**values))


def test_mirrors_need_a_reload_only_and_are_confirmed(tmp_path: Path) -> None:
    docker = FakeDocker(tmp_path, "{}")
    lines = configure(docker, with_settings(mirrors=("https://mirror.example",), live_restore=True))
    assert [each.split()[0] for each in docker.done] == ["reload"]
    assert lines[-1] == "docker confirms the settings after a reload: no container was stopped"


def test_settings_that_docker_reads_when_it_starts_need_a_restart(tmp_path: Path) -> None:
    docker = FakeDocker(tmp_path, "{}", "26.1.5", judges=True)
    wish = with_settings(log_size="64m", userns="default")
    plan = docker_configure.plan(docker.found(), wish, docker.machine, docker, restart=False)
    assert sorted(plan.notes) == ["log-opts: new containers only; others keep theirs", userns.BREAKS]
    assert "it reads userns-remap, log-opts when it starts" in plan.describe()[-1]
    assert configure(docker, wish)[-1] == "docker was restarted and confirms the settings"
    assert docker.settings["log-opts"] == {"max-size": "64m"}


def test_data_are_copied_while_docker_stands_still(tmp_path: Path) -> None:
    docker = FakeDocker(tmp_path, "{}")
    old, new = tmp_path / "var/lib/docker", tmp_path / "srv/docker"
    (old / "image").mkdir(parents=True)
    wish = with_settings(data_root="/srv/docker")
    with pytest.raises(RefusedError, match="has to be stopped"):
        configure(docker, wish, restart=False)
    assert docker.file.read_text() == "{}"
    lines = configure(docker, wish)
    assert docker.done[-3:-1] == ["stop", "copy"]
    assert docker.settings["data-root"] == "/srv/docker"
    assert (new / "image").is_dir()
    assert lines[-1] == f"when all is well, free the old folder's space: sudo rm -rf {old}"
    docker.done.clear()
    assert configure(docker, wish)[-1] == "docker confirms the settings"
    assert docker.done == []


def test_data_that_cannot_be_copied_leave_docker_as_it_was(tmp_path: Path) -> None:
    docker = FakeDocker(tmp_path, "{}")
    (tmp_path / "var/lib/docker/image").mkdir(parents=True)

    def no_space(command: Command) -> Result:
        return Result(1, "", "cp: No space left on device") if command.argv[0] == "cp" else docker(command)

    plan = docker_configure.plan(
        docker.found(), with_settings(data_root="/srv/docker"), docker.machine, no_space, restart=True
    )
    with pytest.raises(GpudockError, match="could not be copied") as told:
        plan.apply()
    assert "the old file is back, and docker runs with it" in told.value.why
    assert docker.up
    assert docker.file.read_text() == "{}"
    assert not (tmp_path / "srv/docker").exists()


def test_live_restore_is_not_for_a_swarm(tmp_path: Path) -> None:
    docker = FakeDocker(tmp_path, "{}")
    docker.swarm = "active"
    with pytest.raises(RefusedError, match="not for a docker in a swarm"):
        configure(docker, with_settings(live_restore=True))


def test_flags_that_set_the_same_are_found(tmp_path: Path) -> None:
    docker = FakeDocker(tmp_path, "{}")
    with pytest.raises(RefusedError, match="--registry-mirror https"):
        configure(docker, with_settings(mirrors=("https://b.example",)), flags="--registry-mirror=https://a.example")


def test_a_docker_that_does_not_start_on_the_copy_runs_again_on_the_old_data(tmp_path: Path) -> None:
    docker = FakeDocker(tmp_path, "{}")
    (tmp_path / "var/lib/docker/image").mkdir(parents=True)
    docker.dies = "/srv/docker"
    with pytest.raises(EngineError) as told:
        configure(docker, with_settings(data_root="/srv/docker"))
    assert "the old file is back, and docker runs with it" in told.value.why
    assert not (tmp_path / "srv/docker").exists()
    assert (tmp_path / "var/lib/docker/image").is_dir()
