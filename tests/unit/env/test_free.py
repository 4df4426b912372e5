import pytest

from gpudock.env import free

FOUR = ("0", "1", "2", "3")


@pytest.mark.parametrize(
    ("number", "busy", "chosen", "shared"),
    [
        (1, (), ("0",), ()),
        (1, ("0",), ("1",), ()),
        (2, ("0", "2"), ("1", "3"), ()),
        (3, ("0", "2"), ("0", "1", "3"), ("0",)),
        (1, ("all",), ("0",), ("0",)),
        (5, (), (), ()),
        (4, (), FOUR, ()),
    ],
)
def test_free_ones_first(number: int, busy: tuple[str, ...], chosen: tuple[str, ...], shared: tuple[str, ...]) -> None:
    assert free.choose(FOUR, number, busy) == (chosen, shared)


def test_a_gpu_that_somebody_has_takes_its_instances_with_it() -> None:
    assert free.choose(("0:0", "0:1", "1"), 1, ("0",)) == (("1",), ())
    assert free.choose(("0:0", "0:1"), 1, ("0:0",)) == (("0:1",), ())
