"""What users see."""

import pytest

from gpudock.errors import EngineError, GpudockError, HostError, InputError, RefusedError, UsageError


def test_exit_codes_tell_the_kinds_apart() -> None:
    kinds = (GpudockError, UsageError, InputError, HostError, RefusedError, EngineError)
    assert [kind.exit_code for kind in kinds] == [1, 2, 3, 4, 5, 6]
    assert all(issubclass(kind, GpudockError) for kind in kinds)


@pytest.mark.parametrize(
    ("parts", "line"),
    [
        ({}, "It broke."),
        ({"why": "rust"}, "It broke. (rust)"),
        ({"mend": "paint"}, "It broke. To mend it: paint"),
        ({"why": "rust", "mend": "paint"}, "It broke. (rust) To mend it: paint"),
    ],
)
def test_one_line_for_logs(parts: dict[str, str], line: str) -> None:
    assert str(HostError("It broke.", **parts)) == line
