"""A running container, looked at from the host: this very process stands for one."""

import os
from pathlib import Path

import pytest

from gpudock.facts.base import Missing
from gpudock.host.root import Root
from gpudock.proc import TIMED_OUT, Result
from gpudock.provision.probe import inside, inside_child
from unit.machines import node
from unit.recorded import Recorder, fill

HOST = (node("/dev/nvidiactl", 195, 255), node("/dev/nvidia0", 195, 0), node("/dev/nvidia-uvm", 510, 0))
SCOPE = f"/system.slice/docker-{'a' * 64}.scope"
TOLD = (
    '{"nodes": {"nvidiactl": "195:255", "nvidia-uvm": "509:0"}, "drivers": ["580.159.04"], '
    f'"group": "/sys/fs/cgroup{SCOPE}", "refused": []}}\n'
)


def look(answer: str | Result, machine: Root) -> inside.Inside:
    run = Recorder({(os.path.basename(os.sys.executable),): answer})  # type: ignore[attr-defined]
    return inside.look(77, HOST, run, machine)


@pytest.fixture(autouse=True)
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)


def test_nodes_versions_and_what_is_refused(tmp_path: Path) -> None:
    seen = look(TOLD + TOLD.replace('"refused": []', '"refused": ["195:255"]'), fill(tmp_path, {}))
    assert seen.nodes == ("/dev/nvidia-uvm", "/dev/nvidiactl")
    assert seen.refused == ("/dev/nvidiactl",)
    assert seen.renumbered == ("/dev/nvidia-uvm is 509:0, the host's is 510:0",)
    assert (seen.driver, seen.forgotten) == ("580.159.04", False)


@pytest.mark.parametrize(
    ("text", "forgotten"),
    [
        ("[Scope]\nDeviceAllow=\nDeviceAllow=/dev/char/1:3 rwm\n", True),
        ("[Scope]\nDeviceAllow=/dev/char/195:0 rw\n", False),
        ("[Scope]\nDeviceAllow=/dev/nvidia0 rw\n", False),
    ],
)
def test_what_systemd_has_forgotten(tmp_path: Path, text: str, forgotten: bool) -> None:
    path = f"/run/systemd/transient/{os.path.basename(SCOPE)}.d/50-DeviceAllow.conf"
    assert look(TOLD, fill(tmp_path, {path: text})).forgotten is forgotten


@pytest.mark.parametrize(
    "answer", ["", "{}", "[[[", Result(TIMED_OUT, "", "stopped after 2 s"), Result(1, "", "no /proc/77")]
)
def test_a_container_that_cannot_be_looked_at(tmp_path: Path, answer: str | Result) -> None:
    assert isinstance(look(answer, fill(tmp_path, {})).nodes, Missing)


def test_users_may_not_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert look(TOLD, fill(tmp_path, {})).nodes == Missing("only root may look into containers")


def test_the_childs_reading_of_a_process() -> None:
    assert inside_child.nodes(os.getpid()).keys() <= {name for name in os.listdir("/dev") if name.startswith("nvidia")}
    assert isinstance(inside_child.drivers(os.getpid()), list)


def test_versions_in_mounts() -> None:
    lines = (
        "1 2 8:1 /usr/lib/libcuda.so.580.95.05 /usr/lib/libcuda.so.580.95.05 ro - ext4 x rw\n"
        "1 2 8:1 /var/lib/gpudock/driver/580.159.04-0123456789ab/compute /usr/local/nvidia ro - ext4 x rw\n"
        "1 2 8:1 /x/libfoo.so.12 /y ro - ext4 x rw\n"
    )
    found = {match[1] or match[2] for match in inside_child._DRIVER.finditer(lines)}
    assert found == {"580.95.05", "580.159.04"}
