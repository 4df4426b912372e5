import pytest

from gpudock.env import words


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0B"), (1023, "1023B"), (1536, "1.5K"), (32 << 30, "32G"), (1 << 60, "1024P")]
)
def test_sizes(number: int, text: str) -> None:
    assert words.size(number) == text


def test_use_and_limit() -> None:
    assert words.memory(1 << 20, 1 << 30) == "1M / 1G"
    assert words.memory(None, 1 << 30) == "1G"
    assert words.memory(1 << 20, None) == "1M / no limit"


def test_cpus() -> None:
    assert words.cpus({"cpus": 1.5, "cpuset": "0-3"}) == "1.5 (0-3)"
    assert words.cpus({"cpus": None, "cpuset": ""}) == "all"


def test_ages() -> None:
    assert [words.age(each) for each in (None, 5, 61, 7200, 200_000)] == ["-", "5 s", "1 min", "2 h", "2 d"]
