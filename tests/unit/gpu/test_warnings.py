"""What is said of a machine that works, but not as well as its owner thinks."""

from pathlib import Path

import msgspec
import pytest

from gpudock.facts.base import Missing
from gpudock.facts.driver import DriverFiles
from gpudock.facts.snapshot import Snapshot
from gpudock.gpu.warnings import warnings
from unit.machines import snapshot, whole


@pytest.fixture
def good(tmp_path: Path) -> Snapshot:
    return snapshot(whole(tmp_path).files())


def test_nothing_is_said_of_a_machine_without_fault(good: Snapshot) -> None:
    assert list(warnings(good)) == []


def test_a_silent_driver(good: Snapshot) -> None:
    (said,) = warnings(msgspec.structs.replace(good, nvml=Missing("it did not answer within 5 s")))
    assert "NVML did not answer (it did not answer within 5 s)" in said


def test_a_missing_uvm_node_means_no_cuda(good: Snapshot) -> None:
    nodes = tuple(node for node in good.nodes if node.path != "/dev/nvidia-uvm")
    (said,) = warnings(msgspec.structs.replace(good, nodes=nodes))
    assert "CUDA will not" in said
    assert "nvidia-modprobe" in said


def test_stale_files_are_named_but_not_those_of_nvidia_settings(good: Snapshot) -> None:
    assert isinstance(good.driver, DriverFiles)
    file = good.driver.files[0]

    def said(name: str) -> list[str]:
        stale = msgspec.structs.replace(file, name=name, version="1.2.3", path=f"/usr/lib/{name}")
        return list(
            warnings(msgspec.structs.replace(good, driver=msgspec.structs.replace(good.driver, stale=(stale,))))
        )

    assert said("libnvidia-gtk3.so.1.2.3") == []
    assert "/usr/lib/libcuda.so.1.2.3" in said("libcuda.so.1.2.3")[0]


def test_wsl_has_neither_nodes_nor_a_module(good: Snapshot) -> None:
    system = msgspec.structs.replace(good.system, wsl=True)
    assert list(warnings(msgspec.structs.replace(good, system=system, nodes=(), nvml=Missing("no")))) == []
