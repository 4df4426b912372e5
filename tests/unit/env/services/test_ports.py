import pytest

from gpudock.env.services import ports
from gpudock.errors import HostError


def test_the_next_free_one() -> None:
    assert ports.choose(8888, lambda _: False) == (8888, False)
    assert ports.choose(8888, lambda port: port < 8891) == (8891, True)


def test_none_is_free() -> None:
    with pytest.raises(HostError, match="8888"):
        ports.choose(8888, lambda _: True)
    with pytest.raises(HostError):
        ports.choose(65535, lambda _: True)


def test_those_that_are_promised_are_taken() -> None:
    assert ports.taken_here("127.0.0.1", {8888})(8888)
