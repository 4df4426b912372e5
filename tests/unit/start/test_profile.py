"""The file by which EGL and Vulkan know a container's GPUs."""

import json
import os
import stat
from pathlib import Path

import pytest

from gpudock.plan.document import Variant
from gpudock.start import profile
from gpudock.start.rootfs import Rootfs
from unit.plan.plans import gpu, plan_with

PLACE = profile.PATH[1:]


def variant(*capabilities: str) -> Variant:
    (some, *_) = plan_with()["variants"].values()
    return {**some, "capabilities": list(capabilities)}


def write(image: Path, *minors: int, capabilities: tuple[str, ...] = ("graphics",)) -> list[str]:
    root = Rootfs(str(image))
    try:
        gpus = [{**gpu(0), "minor": minor} for minor in minors]
        return profile.write(root, variant(*capabilities), gpus)  # type: ignore[arg-type]
    finally:
        root.close()


@pytest.mark.parametrize(
    ("minors", "mask"), [((0,), "0x1"), ((0, 3), "0x9"), ((3, 3), "0x8"), ((1, 63, 64, 99), "0x8000000000000002")]
)
def test_the_mask(image: Path, minors: tuple[int, ...], mask: str) -> None:
    assert write(image, *minors) == []
    text = (image / PLACE).read_text()
    assert json.loads(text.replace(mask, str(int(mask, 16)))) == {
        "profiles": [{"name": "_container_", "settings": ["EGLVisibleDGPUDevices", int(mask, 16)]}],
        "rules": [{"pattern": [], "profile": "_container_"}],
    }
    assert stat.S_IMODE((image / PLACE).stat().st_mode) == 0o444


@pytest.mark.parametrize(
    ("minors", "capabilities", "expected"),
    [
        ((0,), ("display",), True),
        ((0,), ("compute", "graphics", "utility"), True),
        ((0,), ("compute", "utility", "video"), False),
        ((), ("graphics",), False),
        ((64,), ("graphics",), False),  # no bit for it: a mask of none would hide it
    ],
)
def test_who_gets_one(image: Path, minors: tuple[int, ...], capabilities: tuple[str, ...], expected: bool) -> None:
    assert write(image, *minors, capabilities=capabilities) == []
    assert (image / PLACE).exists() == expected


def test_again_and_with_other_gpus(image: Path) -> None:
    write(image, 0)
    before = (image / PLACE).lstat()
    write(image, 0)
    assert (image / PLACE).lstat().st_ino == before.st_ino
    write(image, 1)
    assert "0x2" in (image / PLACE).read_text()


def test_obstacles_are_told_of(image: Path) -> None:
    (image / PLACE).mkdir(parents=True)
    assert write(image, 0) == [f"a folder of the same name keeps out {profile.PATH}"]
    os.rmdir(image / PLACE)
    os.mkfifo(image / PLACE)
    assert write(image, 0) == []
    assert (image / PLACE).is_file()
