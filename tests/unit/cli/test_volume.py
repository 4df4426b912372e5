"""`gpudock volume`, and the flags of nvidia-docker-plugin."""

import json
from pathlib import Path
from typing import Any

import pytest

from gpudock.cli import nvidia_docker_plugin
from gpudock.compat import plugin_daemon
from gpudock.errors import RefusedError, UsageError
from gpudock.refresh import cycle
from gpudock.refresh.current import StaleError
from gpudock.refresh.making import Settings
from unit.cli.invoked import invoked
from unit.machines import VERSION
from unit.refresh.hosts import Host

NAME = f"nvidia_driver_{VERSION}"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host(tmp_path)
    for name, value in made.paths._asdict().items():
        monkeypatch.setenv(f"GPUDOCK_{name.upper()}_DIR", value)
    return made


def refresh(host: Host) -> None:
    cycle.refresh(host.take, host.hook, host.paths, Settings(ways=("link", "copy")))


def test_a_volume_comes_is_listed_and_goes(host: Host) -> None:
    refresh(host)
    place = f"{host.paths.state}/volumes/nvidia_driver/{VERSION}"
    assert invoked("volume", "create").stdout == f"{place}\n"
    assert invoked("volume", "create", NAME, "--quiet").stdout == ""
    assert Path(place, "lib64/libcuda.so").readlink() == Path(f"libcuda.so.{VERSION}")
    assert Path(place, "lib/libcuda.so.1").exists()  # 32 bits
    assert invoked("volume", "ls").stdout == f"{NAME}  {place}\n"
    assert json.loads(invoked("volume", "ls", "--json").stdout) == [{"Name": NAME, "Mountpoint": place, "UsedBy": []}]
    assert invoked("volume", "rm", NAME).stdout == f"removed {NAME}\n"
    assert invoked("volume", "ls").stdout == ""
    assert isinstance(invoked("volume", "rm", NAME).exception, RefusedError)
    assert isinstance(invoked("volume", "rm").exception, UsageError)


def test_a_fixed_folder(host: Host, tmp_path: Path) -> None:
    refresh(host)
    fixed = tmp_path / "nvidia"
    assert invoked("volume", "create", "--static", str(fixed)).stdout.endswith(f"{fixed} shows driver {VERSION}\n")
    assert f"(used by {fixed})" in invoked("volume", "ls").stdout
    assert isinstance(invoked("volume", "rm", NAME).exception, RefusedError)
    assert invoked("volume", "rm", "--static", str(fixed), NAME).stdout == f"removed {fixed}\nremoved {NAME}\n"
    assert not fixed.is_symlink()


def test_without_a_refresh_it_says_so(host: Host) -> None:
    assert host.hooks == 0
    error = invoked("volume", "create").exception
    assert isinstance(error, StaleError)
    assert error.mend == "sudo gpudock refresh"
    assert invoked("volume", "ls").stdout == ""


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize("words", [["-v"], ["--v"]])
def test_the_plugins_version(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert nvidia_docker_plugin.called(words) == 0
    assert capsys.readouterr().out == "NVIDIA Docker plugin: 1.0.1\n"


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize(("words", "code"), [(["-h"], 0), (["-x"], 2), (["-l"], 2), (["more"], 2)])
def test_flags_that_are_not_understood(words: list[str], code: int) -> None:
    with pytest.raises(SystemExit) as ended:
        nvidia_docker_plugin.called(words)
    assert ended.value.code == code


@pytest.mark.usefixtures("host")
def test_docker_is_told_whole_paths(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given: list[plugin_daemon.Settings] = []

    class Daemon(plugin_daemon.Daemon):
        def __init__(self, settings: plugin_daemon.Settings, *rest: Any) -> None:
            super().__init__(settings, *rest)
            given.append(settings)

        def run(self) -> None:
            pass

    monkeypatch.setattr(plugin_daemon, "Daemon", Daemon)
    monkeypatch.chdir(tmp_path)
    assert nvidia_docker_plugin.called(["-d", "volumes/", "-s", "./sockets"]) == 0
    assert given == [plugin_daemon.Settings("localhost:3476", f"{tmp_path}/sockets", f"{tmp_path}/volumes")]


@pytest.mark.usefixtures("host")
def test_errors_are_log_lines(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        nvidia_docker_plugin.main(["-d", "/proc/x", "-s", "/proc/y"])
    assert ended.value.code == 1
    last = capfd.readouterr().err.splitlines()[-1]
    assert last.startswith("nvidia-docker-plugin | ")
    assert " Error: Cannot make the folder /proc/x/nvidia_driver." in last
