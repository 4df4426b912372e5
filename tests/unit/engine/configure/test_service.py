"""Who can restart an engine."""

from pathlib import Path

import pytest

from gpudock.engine.configure import service
from gpudock.engine.configure.service import Manager
from gpudock.errors import EngineError
from gpudock.proc import Command, Result
from unit.recorded import Recorder, fill

SYSTEMD = {"/run/systemd/system/x": ""}
SCRIPT = {"/etc/init.d/docker": "#!/bin/sh\n", "/run/docker.pid": "42\n"}


def manager(folder: Path, files: dict[str, str], pid: int | None, cgroup: str = "") -> Manager:
    machine = fill(folder / "machine", {"/etc/hostname": "x", **files})
    processes = fill(folder / "proc", {f"/{pid}/cgroup": cgroup, "/stat": ""})
    return service.manager(machine, processes, pid, "docker", "/run/docker.pid")


@pytest.mark.parametrize(
    ("cgroup", "found"),
    [
        ("0::/system.slice/docker.service\n", Manager("docker.service")),
        ("1:name=systemd:/system.slice/docker.service\n0::/\n", Manager("docker.service")),
        ("0::/system.slice/snap.docker.dockerd.service\n", Manager("snap.docker.dockerd.service")),
        (
            "0::/user.slice/user-1000.slice/user@1000.service/app.slice/docker.service\n",
            Manager("docker.service", user=True),
        ),
        ("0::/user.slice/user-0.slice/session-1.scope\n", Manager()),
        ("0::/system.slice/actions-runner.service\n", Manager()),
    ],
)
def test_systemds_unit_is_that_of_the_process(tmp_path: Path, cgroup: str, found: Manager) -> None:
    assert manager(tmp_path, SYSTEMD, 42, cgroup) == found


def test_the_unit_of_a_docker_that_does_not_run(tmp_path: Path) -> None:
    assert manager(tmp_path, SYSTEMD | {"/usr/lib/systemd/system/docker.service": "[Service]"}, None).unit
    assert manager(tmp_path / "2", SYSTEMD, None) == Manager()


@pytest.mark.parametrize(("pid", "script"), [(42, "docker"), (None, "docker"), (43, "")])
def test_a_script_restarts_only_what_it_has_started(tmp_path: Path, pid: int | None, script: str) -> None:
    assert manager(tmp_path, SCRIPT, pid) == Manager(script=script)


def test_commands() -> None:
    assert Manager("docker.service").restart == ("systemctl", "restart", "docker.service")
    assert Manager("docker.service", user=True).reload == ("systemctl", "--user", "reload", "docker.service")
    assert Manager(script="docker").restart == ("service", "docker", "restart")
    assert Manager(script="docker").reload == Manager().restart == ()


def test_drop_ins_come_in_systemds_order(tmp_path: Path) -> None:
    machine = fill(
        tmp_path,
        {
            "/usr/lib/systemd/system/docker.service": "unit",
            "/usr/lib/systemd/system/docker.service.d/50-a.conf": "hidden",
            "/etc/systemd/system/docker.service.d/50-a.conf": "shown",
            "/run/systemd/system/docker.service.d/10-b.conf": "first",
            "/etc/systemd/system/docker.service.d/notes.txt": "no drop-in",
        },
    )
    assert [text for _, text in service.unit_files(machine, "docker.service")] == ["unit", "first", "shown"]


def test_flags_of_the_next_start_come_from_what_starts_it(tmp_path: Path) -> None:
    files = {
        "/usr/lib/systemd/system/docker.service": "ExecStart=/usr/bin/dockerd --debug\n",
        "/etc/default/docker": 'DOCKER_OPTS="--default-runtime=nvidia"\n',
    }
    machine = fill(tmp_path, files)
    assert [flag.name for flag in service.docker_flags(machine, Manager("docker.service"))] == ["debug"]
    assert [flag.name for flag in service.docker_flags(machine, Manager(script="docker"))] == ["default-runtime"]
    assert service.docker_flags(machine, Manager()) == ()


def test_what_systemctl_says_is_the_reason() -> None:
    recorder = Recorder({("systemctl",): Result(1, "", "Job for docker.service failed.\nSee journalctl.\n")})
    with pytest.raises(EngineError) as told:
        service.restart(Manager("docker.service"), recorder)
    assert told.value.what == "systemctl restart docker.service failed."
    assert told.value.why == "Job for docker.service failed."


def test_a_script_that_cannot_restart_what_does_not_run_is_asked_to_start() -> None:
    """Debian's script for docker ends with 1 when its pid file is not there."""
    done: list[tuple[str, ...]] = []

    def run(command: Command) -> Result:
        done.append(command.argv)
        return Result(int(command.argv[-1] == "restart"), "", "")

    service.restart(service.Manager(script="docker"), run)
    assert done == [("service", "docker", "restart"), ("service", "docker", "start")]
    answers = Recorder({("service", "crio", "restart"): ""})
    service.restart(service.Manager(script="crio"), answers)
    assert [each.argv for each in answers.asked] == [("service", "crio", "restart")]


def test_stopping_ends_the_socket_too_that_would_start_it_again() -> None:
    assert service.Manager("docker.service").stop == ("systemctl", "stop", "docker.service", "docker.socket")
    assert service.Manager("docker.service", user=True).stop[:3] == ("systemctl", "--user", "stop")
    assert service.Manager(script="docker").stop == ("service", "docker", "stop")
    assert service.Manager().stop == ()
