"""Which numbers of /proc/devices a node depends on, and whether it still has them."""

import pytest

from gpudock.gpu import numbers
from unit.machines import node

MAJORS = {
    "nvidia": 195,
    "nvidiactl": 195,
    "nvidia-uvm": 510,
    "nvidia-caps": 237,
    "nvidia-caps-imex-channels": 238,
    "infiniband_verbs": 231,
}


@pytest.mark.parametrize(
    ("path", "major", "stale"),
    [
        ("/dev/nvidia0", 195, False),
        ("/dev/nvidia0", 196, True),
        ("/dev/nvidiactl", 510, True),
        ("/dev/nvidia-modeset", 195, False),  # its module, and so its own line, may come and go
        ("/dev/nvidia-uvm", 509, True),
        ("/dev/nvidia-uvm-tools", 510, False),
        ("/dev/nvidia-caps/nvidia-cap12", 238, True),
        ("/dev/nvidia-caps-imex-channels/channel0", 238, False),
        ("/dev/gdrdrv", 501, False),  # not loaded: nobody has the number
        ("/dev/gdrdrv", 510, True),  # not loaded, and its number is given to another
        ("/dev/infiniband/uverbs40", 510, False),  # beyond the first 32 they have other numbers
        ("/dev/dxg", 10, False),
    ],
)
def test_stale_nodes(path: str, major: int, stale: bool) -> None:
    assert numbers.is_stale(node(path, major, 0), MAJORS) is stale


def test_before_branch_535() -> None:
    assert numbers.is_stale(node("/dev/nvidia0", 194, 0), {"nvidia-frontend": 195})
    assert not numbers.is_stale(node("/dev/nvidia0", 195, 0), {"nvidia-frontend": 195})


def test_what_nodes_depend_on() -> None:
    assert numbers.used(["/dev/nvidia0", "/dev/nvidiactl", "/dev/dri/renderD128"], MAJORS) == {"nvidia": 195}
    assert numbers.used(["/dev/nvidia-uvm"], MAJORS) == {"nvidia-uvm": 510}
    assert numbers.used(["/dev/nvidia-caps/nvidia-cap1"], MAJORS) == {"nvidia-caps": 237}
    assert numbers.used([], MAJORS) == {}
