"""A neighbour that swaps a folder of the image with a link to the host, as fast as it can, while the hook works there."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gpudock.errors import GpudockError
from gpudock.start import lookup
from gpudock.start.rootfs import Rootfs
from real.hook_stage import digest

pytestmark = pytest.mark.real
TRIES = 3_000
EXCHANGE = """
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
one, other = sys.argv[1].encode(), sys.argv[2].encode()
print("ready", flush=True)
while True:
    libc.renameat2(-100, one, -100, other, 2)
"""


@pytest.fixture
def swapped(tmp_path: Path) -> Iterator[Path]:
    """image/etc is a folder at one moment and a link to the host's at the next."""
    image, host = tmp_path / "image", tmp_path / "host"
    for folder in (image / "etc/deep", host / "deep"):
        folder.mkdir(parents=True)
        (folder / "file").write_text(folder.parent.name)
        (folder / folder.parent.name).touch()
    (image / "swap").symlink_to(host)
    argv = [sys.executable, "-I", "-c", EXCHANGE, str(image / "etc"), str(image / "swap")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as swapper:
        assert swapper.stdout is not None
        assert swapper.stdout.readline() == b"ready\n"
        yield tmp_path
        swapper.kill()


@pytest.mark.parametrize("way", lookup.NAMES)
@pytest.mark.parametrize("tries", [TRIES, pytest.param(40_000, marks=pytest.mark.soak)])
def test_the_host_is_neither_read_nor_written(swapped: Path, tries: int, way: str) -> None:
    before = digest(swapped / "host")
    resolve = lookup.choose(way)
    assert resolve.__module__.endswith(way)

    @contextmanager
    def opened() -> Iterator[Rootfs]:
        """It looks each folder up only once, as a container's start does: a new one for each try."""
        root = Rootfs(str(swapped / "image"), resolve)
        try:
            yield root
        except GpudockError:
            outcomes["refused"] += 1
        finally:
            root.close()

    outcomes = {"read": 0, "nothing there": 0, "written": 0, "refused": 0}
    begun = time.monotonic()
    turn = 0
    while turn < tries or outcomes["refused"] < tries // 100:
        with opened() as root:
            found = root.read("/etc/deep/file", 100)
            assert found != b"host"
            outcomes["nothing there" if found is None else "read"] += 1
        with opened() as root:
            assert "host" not in (root.names("/etc/deep", 10) or [])
        with opened() as root:
            root.publish("/etc/deep/new", b"%d" % turn)
            outcomes["written"] += 1
        with opened() as root:
            root.link("/etc/deep/link", str(turn))
        turn += 1
        assert time.monotonic() - begun < 60 * tries / TRIES, outcomes
    assert digest(swapped / "host") == before
    assert min(outcomes.values()) > 0, outcomes
