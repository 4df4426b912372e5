"""Which CUDA makes code for which GPU."""

import pytest

from gpudock.gpu import cuda


def test_the_table_is_whole() -> None:
    assert {each.partition(".")[0] for each in cuda.TOOLKITS if cuda.numbers(each) >= (11,)} == {*cuda.FAMILIES}
    drivers = [cuda.numbers(each) for each in cuda.TOOLKITS.values()]
    assert drivers == sorted(drivers)
    assert {*cuda.LOWEST, *cuda.FIRST.values()} <= {*cuda.TOOLKITS}


@pytest.mark.parametrize(
    ("version", "capability", "why"),
    [
        ("13.0", "7.0", "CUDA 13.0 has no code for compute capability 7.0 (GPU 0), only from 7.5 on"),
        ("12.4.1", "10.0", "CUDA knows compute capability 10.0 (GPU 0) since 12.8, not in 12.4.1"),
        ("12.9", "11.0", "CUDA knows compute capability 11.0 (GPU 0) since 13.0, not in 12.9"),
        ("11.7", "8.6", ""),
        ("11.7", "8.9", "CUDA knows compute capability 8.9 (GPU 0) since 11.8, not in 11.7"),
        ("12.8", "12.0", ""),
        ("", "9.0", ""),
        ("12.8", "none", ""),
    ],
)
def test_code_for_a_gpu(version: str, capability: str, why: str) -> None:
    assert cuda.without_code(version, "GPU 0", capability) == why
