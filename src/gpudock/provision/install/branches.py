"""Branches of NVIDIA's driver: what kind each is and when its life ends. Data, with its source: NVIDIA's "Supported
Drivers and CUDA Toolkit Versions" of the data-center drivers, as of September 2026. What CUDA each runs: gpu.cuda.
"""

from typing import NamedTuple

CUDA_SOURCE = "https://docs.nvidia.com/cuda/cuda-toolkit-release-notes/"
LIFE_SOURCE = "https://docs.nvidia.com/datacenter/tesla/drivers/615/supported-drivers-and-cuda-toolkit-versions.html"
AS_OF = "2026-09"


class Life(NamedTuple):
    kind: str
    ends: str  # YYYY-MM


LIVES = {
    535: Life("long-term", "2026-06"),
    580: Life("long-term", "2028-06"),
    595: Life("production", "2027-03"),
    610: Life("new features", "2026-08"),
}
BEST = 580  # long-term, and the last one that runs every generation from Maxwell on


def branch(version: str) -> int | None:
    """Of a version of a driver or of its package: 535 of "535.261.03-1~deb12u1"."""
    number = version.rpartition(":")[2].partition(".")[0]
    return int(number) if number.isdecimal() and 100 <= int(number) < 10_000 else None


def life(number: int, today: str) -> str:
    """`today` as YYYY-MM. "" when it is not listed."""
    found = LIVES.get(number)
    if found is None:
        return ""
    verb = "ended" if found.ends < today else "ends"
    return f"{found.kind}, {verb} {found.ends}"
