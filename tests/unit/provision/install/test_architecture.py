"""Which generation a GPU is of, and what driver it can live with."""

import itertools

import pytest

from gpudock.host import codec
from gpudock.provision.install import architecture
from unit import h200


@pytest.mark.parametrize(
    ("device", "name"),
    [
        (0x102D, "Kepler"),  # Tesla K80
        (0x13C2, "Maxwell"),  # GeForce GTX 970
        (0x1B80, "Pascal"),  # GeForce GTX 1080
        (0x15F8, "Pascal"),  # Tesla P100
        (0x1DB6, "Volta"),  # Tesla V100
        (0x1EB8, "Turing"),  # Tesla T4
        (0x2184, "Turing"),  # GeForce GTX 1660
        (0x20B2, "Ampere"),  # A100
        (0x2204, "Ampere"),  # GeForce RTX 3090
        (0x2488, "Ampere"),  # GeForce RTX 3070
        (0x2330, "Hopper"),  # H100
        (0x2335, "Hopper"),  # H200
        (0x2684, "Ada"),  # GeForce RTX 4090
        (0x2901, "Blackwell"),  # B200
        (0x2B85, "Blackwell"),  # GeForce RTX 5090
        (0x0040, None),
        (0x4000, None),
    ],
)
def test_generations_by_device(device: int, name: str | None) -> None:
    assert architecture.of_device(device) == name


def test_ranges_do_not_overlap() -> None:
    ranges = sorted(pair for each in architecture.GENERATIONS for pair in each.ids)
    assert all(one[1] < other[0] for one, other in itertools.pairwise(ranges))


def test_a_machine_with_a_gpu() -> None:
    """The NVSwitches and whatever else NVIDIA makes are no GPUs."""
    assert architecture.of_machine(codec.decode(h200.SNAPSHOT.read_bytes())) == ("Hopper",)


@pytest.mark.parametrize(
    ("generations", "modules", "branches", "not_these"),
    [
        (("Blackwell",), ("open",), (570, 580, 610), (550,)),
        (("Hopper",), ("open", "proprietary"), (535, 580), (470,)),
        (("Volta",), ("proprietary",), (470, 535, 580), (590,)),
        (("Kepler",), ("proprietary",), (390, 470), (535,)),
        (("Pascal", "Turing"), ("proprietary",), (535, 580), (590, 384)),
        (("unknown",), ("open", "proprietary"), (1, 999), ()),
    ],
)
def test_what_suits(
    generations: tuple[str, ...], modules: tuple[str, ...], branches: tuple[int, ...], not_these: tuple[int, ...]
) -> None:
    suits = architecture.suits(generations)
    assert suits is not None
    assert suits.modules == modules
    assert all(suits.branch(each) for each in branches)
    assert not any(suits.branch(each) for each in not_these)


def test_some_do_not_go_together() -> None:
    assert architecture.suits(("Kepler", "Hopper")) is None
    assert architecture.suits(("Volta", "Blackwell")) is None
