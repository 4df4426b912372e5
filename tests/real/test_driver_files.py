"""No container changes the host's driver through a driver volume, however it is mounted."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from real.harness import images
from real.harness.product import Product, product

pytestmark = pytest.mark.real

CUDA = "/usr/local/nvidia/lib64/libcuda.so.580.159.04"
# As root. Each word is printed when it went through.
ATTACK = f"""cd /usr/local/nvidia/lib64; f={CUDA}
chmod 4777 $f && echo chmod; chown 1 $f && echo chown; touch -d 2001-01-01 $f && echo touch
ln $f ./again && echo link; (echo evil >> $f) && echo append; (echo evil | dd of=$f bs=1 conv=notrunc) && echo write
truncate -s 1 $f && echo truncate; mv $f $f.away && echo rename; rm -f $f $f.away ../bin/nvidia-smi && echo unlink
echo evil > libevil.so && echo create; rm -r ../lib64/* && echo empty
"""
DONE = ["chmod", "chown", "touch", "link", "append", "write", "truncate", "rename", "unlink", "create", "empty"]


@pytest.fixture(scope="module")
def gpudock(session_root: Path) -> Iterator[Product]:
    with product(session_root) as made:
        yield made


def driver(gpudock: Product) -> dict[str, tuple[object, ...]]:
    """Every file of the host's driver and of its tree, with all that could be changed."""
    return {
        path: (info.st_ino, info.st_mode, info.st_uid, info.st_nlink, info.st_size, info.st_mtime_ns, info.st_ctime_ns, _sum(path))
        for top in (gpudock.gpus, gpudock.folder / "state/driver")
        for here, _, names in os.walk(top)
        for path in (f"{here}/{name}" for name in names)
        if os.path.isfile(path) and not os.path.islink(path)
        for info in (os.stat(path),)
    }  # fmt: skip


def _sum(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("engine", "flags"), [("podman", ()), ("podman", ("--privileged",)), ("docker20", ())], ids=str
)
def test_a_volume_without_ro(
    gpudock: Product, request: pytest.FixtureRequest, engine: str, flags: tuple[str, ...]
) -> None:
    """What a container does to it is done to this volume alone, though it may do everything there."""
    any_engine = request.getfixturevalue(engine)
    image = images.load(any_engine, "tiny")
    volumes = gpudock.folder / "volumes"
    try:
        made = gpudock("volume", "create", "--volumes", str(volumes)).stdout.strip()
        before = driver(gpudock)
        command = ("run", "--rm", "--network", "none", *flags, "-v", f"{made}:/usr/local/nvidia", image)
        assert any_engine.run(*command, "/bin/sh", "-c", ATTACK, check=False).stdout.split() == DONE
        assert driver(gpudock) == before
        assert not (Path(made) / "lib64/libcuda.so").is_symlink()
        gpudock("volume", "create", "--volumes", str(volumes))  # it is made again
        assert (Path(made) / f"lib64/{Path(CUDA).name}").read_bytes() == cuda(gpudock).read_bytes()
    finally:
        gpudock("volume", "rm", "--volumes", str(volumes), "nvidia_driver_580.159.04")


def cuda(gpudock: Product) -> Path:
    """The host's own."""
    (found,) = gpudock.gpus.rglob(Path(CUDA).name)
    return found
