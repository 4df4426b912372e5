"""containerd and CRI-O: configurations recorded from containerd 1.6.20 and 2.1.9, CRI-O's as its manual has it."""

from pathlib import Path

from gpudock.facts.base import Missing
from gpudock.facts.engine import Engine
from gpudock.host import engine_cri
from gpudock.host.surroundings import Surroundings
from gpudock.proc import TIMED_OUT, Result
from unit.recorded import Recorder, fill

DATA = Path(__file__).parents[2] / "data/engines"
CRIO = """\
[crio]
[crio.runtime]
default_runtime = "crun"
cgroup_manager = "systemd"
cdi_spec_dirs = ["/etc/cdi", "/var/run/cdi", "/opt/cdi"]
[crio.runtime.runtimes.crun]
runtime_path = "/usr/libexec/crio/crun"
[crio.runtime.runtimes.nvidia]
runtime_path = "/usr/bin/nvidia-container-runtime"
"""


def containerd(folder: Path, version: str, config: str | Result) -> Engine:
    run = Recorder({("containerd", "--version"): version, ("containerd", "config"): config})
    return engine_cri.containerd(
        run, Surroundings(fill(folder, {}), fill(folder, {}), {}, rootless=False), "/usr/bin/containerd"
    )


def crio(folder: Path, version: str, config: str | Result) -> Engine:
    run = Recorder({("crio", "--version"): version, ("crio", "config"): config})
    return engine_cri.crio(run, Surroundings(fill(folder, {}), fill(folder, {}), {}, rootless=False), "/usr/bin/crio")


def test_containerd_1_6(tmp_path: Path) -> None:
    line = "containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u3\n"
    engine = containerd(tmp_path, line, (DATA / "containerd-1.6.20.toml").read_text())
    assert (engine.version, engine.cdi, engine.cdi_folders) == ("1.6.20~ds1", False, ())
    assert (engine.runtimes, engine.default_runtime, engine.cgroup_driver) == (("runc",), "runc", "cgroupfs")
    assert engine.problem == "it is not running: /run/containerd/containerd.sock is not there"


def test_containerd_2(tmp_path: Path) -> None:
    fill(tmp_path, {engine_cri.CONTAINERD_SOCKET: ""})
    text = (DATA / "containerd-2.1.9.toml").read_text().replace("SystemdCgroup = false", "SystemdCgroup = true")
    engine = containerd(tmp_path, "containerd github.com/containerd/containerd/v2 v2.1.9 abc\n", text)
    assert (engine.version, engine.cdi, engine.cdi_folders) == ("2.1.9", True, ("/etc/cdi", "/var/run/cdi"))
    assert (engine.cgroup_driver, engine.problem) == ("systemd", None)


def test_containerd_without_the_kubernetes_plugin(tmp_path: Path) -> None:
    engine = containerd(tmp_path, "containerd x v1.7.12\n", "version = 2\ndisabled_plugins = ['cri']\n")
    assert (engine.cdi, engine.runtimes) == (False, ())
    assert engine.cgroup_driver == Missing("it has no runtimes")


def test_broken_configurations(tmp_path: Path) -> None:
    failing = Result(1, "", "containerd: failed to load TOML: /etc/containerd/config.toml: (3, 5): unexpected token\n")
    engine = containerd(tmp_path, "containerd x v1.7.12\n", failing)
    assert (
        engine.config_error == "containerd: failed to load TOML: /etc/containerd/config.toml: (3, 5): unexpected token"
    )
    assert isinstance(engine.cdi, Missing)
    assert (
        containerd(tmp_path, "", Result(TIMED_OUT, "", "")).config_error
        == "/usr/bin/containerd gave no answer within 5 s"
    )
    assert "cannot be read" in (containerd(tmp_path, "", "[a").config_error or "")
    assert containerd(tmp_path, "", "plugins = 3\n").cdi is False


def test_crio(tmp_path: Path) -> None:
    engine = crio(tmp_path, "crio version 1.30.4\nVersion:        1.30.4\n", CRIO)
    assert (engine.version, engine.cdi, engine.cdi_folders[-1]) == ("1.30.4", True, "/opt/cdi")
    assert (engine.runtimes, engine.default_runtime, engine.cgroup_driver) == (("crun", "nvidia"), "crun", "systemd")
    assert crio(tmp_path, "crio version 1.22.1\n", CRIO).cdi is False
    assert isinstance(crio(tmp_path, "", CRIO).cdi, Missing)
