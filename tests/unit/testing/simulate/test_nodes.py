import msgspec
import pytest

from gpudock.errors import HostError
from gpudock.testing.simulate import description, nodes
from gpudock.testing.simulate.machine import Majors

PROC_DEVICES = (
    "Character devices:\n  1 mem\n195 nvidia\n195 nvidiactl\n510 gpio\n\nBlock devices:\n  7 loop\n253 zram\n"
)


def test_only_character_majors_count() -> None:
    assert nodes.parse_devices(PROC_DEVICES) == {1, 195, 510}


def test_majors_avoid_what_the_machine_uses() -> None:
    assert nodes.free_majors(Majors(), {1, 4}) == Majors()
    moved = nodes.free_majors(Majors(), {195, 120, 510, 511})
    assert moved == Majors(nvidia=121, nvidia_uvm=509, nvidia_caps=508)
    swapped = nodes.free_majors(Majors(nvidia_uvm=511, nvidia_caps=510), {511})
    assert swapped == Majors(nvidia_uvm=510, nvidia_caps=509)


def test_a_machine_without_a_free_major_is_refused() -> None:
    with pytest.raises(HostError, match="No device major is free for nvidia"):
        nodes.free_majors(Majors(), range(512))


def test_the_nodes_of_a_partitioned_machine() -> None:
    machine = description.make(2, "H200", "580.159.04", mig=["1g.18gb"])
    machine = msgspec.structs.replace(machine, majors=Majors(nvidia=120))
    found = {node.path: (node.major, node.minor, node.mode) for node in nodes.nodes(machine)}
    assert found == {
        "dev/nvidiactl": (120, 255, 0o666),
        "dev/nvidia-modeset": (120, 254, 0o666),
        "dev/nvidia0": (120, 0, 0o666),
        "dev/nvidia1": (120, 1, 0o666),
        "dev/nvidia-uvm": (510, 0, 0o666),
        "dev/nvidia-uvm-tools": (510, 1, 0o666),
        "dev/nvidia-caps/nvidia-cap1": (511, 1, 0o400),
        "dev/nvidia-caps/nvidia-cap2": (511, 2, 0o444),
        "dev/nvidia-caps/nvidia-cap66": (511, 66, 0o444),
        "dev/nvidia-caps/nvidia-cap67": (511, 67, 0o444),
    }


def test_drivers_before_mig_have_no_capability_nodes() -> None:
    paths = [node.path for node in nodes.nodes(description.make(1, "T4", "440.33.01"))]
    assert not any("caps" in path for path in paths)
