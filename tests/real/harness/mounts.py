"""Mount points below a folder."""

import os
import re
from pathlib import Path

from real.harness.commands import run


def below(folder: Path) -> list[str]:
    """Mount points at or below the folder, innermost and newest first."""
    start = os.fspath(folder)
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    # mountinfo writes a space as \040
    points = [re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), line.split()[4]) for line in lines]
    return [point for point in reversed(points) if point == start or point.startswith(start + "/")]


def unmount_below(folder: Path) -> None:
    """Takes away every mount there, so that removing the folder cannot reach through one into something else."""
    for point in below(folder):
        run(["umount", "--no-canonicalize", "--lazy", point])
    left = below(folder)
    assert not left, f"still mounted: {left}"
