"""Branches of NVIDIA's driver: the newest CUDA each runs, what kind it is and when its life ends. Data, with sources.

CUDA: the release notes of each toolkit name the driver that it came with (table "CUDA Toolkit and Corresponding Driver
Versions"); a driver runs that CUDA, every older one, and newer minor versions of the same major with limits.
Life: NVIDIA's "Supported Drivers and CUDA Toolkit Versions" of the data-center drivers, as of September 2026.
"""

from typing import NamedTuple

CUDA_SOURCE = "https://docs.nvidia.com/cuda/cuda-toolkit-release-notes/"
LIFE_SOURCE = "https://docs.nvidia.com/datacenter/tesla/drivers/615/supported-drivers-and-cuda-toolkit-versions.html"
AS_OF = "2026-09"
_CUDA = {
    346: "7.0", 352: "7.5", 367: "8.0", 375: "8.0", 384: "9.0", 390: "9.1", 396: "9.2", 410: "10.0", 418: "10.1",
    440: "10.2", 450: "11.0", 455: "11.1", 460: "11.2", 465: "11.3", 470: "11.4", 495: "11.5", 510: "11.6",
    515: "11.7", 520: "11.8", 525: "12.0", 530: "12.1", 535: "12.2", 545: "12.3", 550: "12.4", 555: "12.5",
    560: "12.6", 570: "12.8", 575: "12.9", 580: "13.0", 590: "13.1", 595: "13.2", 610: "13.3",
}  # fmt: skip


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


def cuda(number: int) -> str:
    """The newest CUDA with all its features; of a branch that is not listed, that of the nearest older one."""
    older = [each for each in _CUDA if each <= number]
    return _CUDA[max(older)] if older else ""


def life(number: int, today: str) -> str:
    """`today` as YYYY-MM. "" when it is not listed."""
    found = LIVES.get(number)
    if found is None:
        return ""
    verb = "ended" if found.ends < today else "ends"
    return f"{found.kind}, {verb} {found.ends}"
