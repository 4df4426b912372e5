"""Which CUDA runs on which driver and GPU: data as of September 2026 with its sources, and the rules. Pure.

Drivers: https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html and
https://docs.nvidia.com/cuda/cuda-toolkit-release-notes/ (through transcriptions compared with each other; 13.3 from
one). GPUs: llvm/llvm-project 0f49116e, CMake merge request 8031, replicate/cog pkg/doctor/gpu_compatibility.go, release
notes of CUDA 11.0; CUDA 13 removed Maxwell, Pascal and Volta.
"""

from collections.abc import Mapping

Version = tuple[int, ...]

# The oldest driver of a major version: every minor one runs on it (minor version compatibility).
FAMILIES = {"11": "450.80.02", "12": "525.60.13", "13": "580"}
# The driver that came with each toolkit: with it, all features.
TOOLKITS = {
    "8.0": "367.48",
    "9.0": "384.81",
    "9.1": "390.46",
    "9.2": "396.26",
    "10.0": "410.48",
    "10.1": "418.39",
    "10.2": "440.33",
    "11.0": "450.51.05",
    "11.1": "455.23",
    "11.2": "460.27.03",
    "11.3": "465.19.01",
    "11.4": "470.42.01",
    "11.5": "495.29.05",
    "11.6": "510.39.01",
    "11.7": "515.43.04",
    "11.8": "520.61.05",
    "12.0": "525.60.13",
    "12.1": "530.30.02",
    "12.2": "535.54.03",
    "12.3": "545.23.06",
    "12.4": "550.54.14",
    "12.5": "555.42.02",
    "12.6": "560.28.03",
    "12.8": "570.26",
    "12.9": "575.51.03",
    "13.0": "580.65.06",
    "13.1": "590.44.01",
    "13.2": "595.45.04",
    "13.3": "610.43.02",
}
# The lowest compute capability, from a CUDA version on; and the first CUDA version for one, from it on.
LOWEST = {"11.0": "3.5", "12.0": "5.0", "13.0": "7.5"}
FIRST = {"8.0": "11.0", "8.9": "11.8", "9.0": "11.8", "10.0": "12.8", "11.0": "13.0", "12.0": "12.8"}


def newest(branch: int) -> str:
    """The newest CUDA that a driver branch runs with all features; of one that is not listed, of the nearest older."""
    fitting = [version for version, driver in TOOLKITS.items() if numbers(driver)[0] <= branch]
    return max(fitting, key=numbers, default="")


def without_code(
    cuda: str, gpu: str, capability: str, lowest: Mapping[str, str] = LOWEST, first: Mapping[str, str] = FIRST
) -> str:
    """Why a CUDA version makes no code for a GPU; "" when it does, or is no version."""
    version, mine = numbers(cuda)[:2], numbers(capability)
    if not version or not mine:
        return ""
    least = [low for since, low in sorted(lowest.items(), key=_by_version) if version >= numbers(since)]
    if least and mine < numbers(least[-1]):
        return f"CUDA {cuda} has no code for compute capability {capability} ({gpu}), only from {least[-1]} on"
    # 8.9 stands for 8.9 alone, as 8.6 code runs on it; 10.0 for all of 10.
    known = [
        begins
        for since, begins in sorted(first.items(), key=_by_version)
        if numbers(since)[0] == mine[0] and numbers(since) <= mine
    ]
    if known and version < numbers(known[-1]):
        return f"CUDA knows compute capability {capability} ({gpu}) since {known[-1]}, not in {cuda}"
    return ""


def _by_version(item: tuple[str, str]) -> Version:
    return numbers(item[0])


def numbers(version: str) -> Version:
    """ "12.8" -> (12, 8). What is no number ends it."""
    found = []
    for part in version.split("."):
        digits = part[: next((at for at, each in enumerate(part) if not each.isdecimal()), len(part))]
        if not digits:
            break
        found.append(int(digits))
    return tuple(found)
