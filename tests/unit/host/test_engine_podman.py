"""Podman's answers, recorded from 4.3.1, and its configuration files."""

import json
from pathlib import Path
from typing import Any

import pytest

from gpudock.facts.base import Missing
from gpudock.facts.engine import Engine
from gpudock.host import engine_podman
from gpudock.host.surroundings import Surroundings
from gpudock.proc import TIMED_OUT, Result
from unit.recorded import Recorder, fill

RECORDED = (Path(__file__).parents[2] / "data/engines/podman-4.3.1.json").read_text()


def info(version: str = "4.3.1", **host: Any) -> str:
    answer = json.loads(RECORDED)
    answer["version"]["Version"] = version
    answer["host"] |= host
    return json.dumps(answer)


def read(folder: Path, answer: str | Result, *, rootless: bool = False, **environment: str) -> Engine:
    run = Recorder({("podman", "info"): answer, ("podman", "--version"): "podman version 4.3.1\n"})
    return engine_podman.read(
        run, Surroundings(fill(folder, {}), fill(folder, {}), environment, rootless), "/usr/bin/podman"
    )


def test_recorded(tmp_path: Path) -> None:
    fill(tmp_path, {"/usr/share/containers/containers.conf": "[engine]\n#runtime = 'crun'\n"})
    assert read(tmp_path, RECORDED) == Engine(
        name="podman",
        program="/usr/bin/podman",
        version="4.3.1",
        rootless=False,
        cdi=True,
        cdi_folders=("/etc/cdi", "/var/run/cdi"),
        runtimes=("crun",),
        default_runtime="crun",
        cgroup_driver="cgroupfs",
        config_path="/usr/share/containers/containers.conf",
        data_root="/var/lib/containers/storage",
        storage_driver="overlay",
        oci="crun 1.8.1",
    )


@pytest.mark.parametrize(("version", "cdi"), [("3.4.4", False), ("4.0.3", False), ("4.1.0", True), ("5.8.6", True)])
def test_cdi_came_with_4_1(tmp_path: Path, version: str, cdi: bool) -> None:
    assert read(tmp_path, info(version)).cdi is cdi


def test_rootless_and_remote(tmp_path: Path) -> None:
    answer = info(security={"rootless": True}, serviceIsRemote=True, ociRuntime={"name": "runc"})
    engine = read(tmp_path, answer, rootless=True, HOME="/home/u")
    assert (engine.rootless, engine.remote, engine.default_runtime) == (True, True, "runc")
    assert engine.config_path == "/home/u/.config/containers/containers.conf"


def test_configuration_files_are_merged_in_order(tmp_path: Path) -> None:
    fill(
        tmp_path,
        {
            "/usr/share/containers/containers.conf": '[engine]\ncdi_spec_dirs = ["/a"]\n[engine.runtimes]\nrunc = ["/x"]\n',
            "/etc/containers/containers.conf.d/10-nvidia.conf": '[engine.runtimes]\nnvidia = ["/usr/bin/nvidia-container-runtime"]\n',
            "/home/u/.config/containers/containers.conf": '[engine]\ncdi_spec_dirs = ["/b", {append = true}]\n',
        },
    )
    engine = read(tmp_path, RECORDED, HOME="/home/u")
    assert (engine.cdi_folders, engine.runtimes) == (("/a",), ("crun", "nvidia", "runc"))
    assert engine.config_path == "/etc/containers/containers.conf.d/10-nvidia.conf"
    assert read(tmp_path, RECORDED, rootless=True, HOME="/home/u").cdi_folders == ("/b",)
    assert read(tmp_path, RECORDED, CONTAINERS_CONF="/nowhere.conf").cdi_folders == ("/etc/cdi", "/var/run/cdi")


def test_a_broken_configuration_file(tmp_path: Path) -> None:
    fill(tmp_path, {"/etc/containers/containers.conf": "[engine\n"})
    error = read(tmp_path, RECORDED).config_error
    assert error is not None
    assert error.startswith("/etc/containers/containers.conf: ")


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (Result(TIMED_OUT, "", "stopped"), "podman info gave no answer within 10 s"),
        (
            Result(125, "", 'time="..." level=warning msg="..."\nError: mkdir /run/libpod: permission denied\n'),
            "Error: mkdir /run/libpod: permission denied",
        ),
        (Result(0, "{}", ""), "podman info failed with exit code 0"),
        (Result(0, "[" * 100_000, ""), "podman info failed with exit code 0"),
    ],
)
def test_an_unusable_podman_is_a_fact(tmp_path: Path, answer: Result, problem: str) -> None:
    engine = read(tmp_path, answer)
    assert (engine.problem, engine.version) == (problem, "4.3.1")
    assert isinstance(engine.cdi, Missing)
