"""An image's root, and a folder of the host beside it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gpudock.start import openat2, walk


@pytest.fixture(params=[walk.resolve, openat2.resolve], ids=["walk", "openat2"])
def resolve(request: pytest.FixtureRequest) -> Callable[..., int]:
    """Each of the two ways to look something up inside a root, in turn."""
    way: Callable[..., int] = request.param
    return way


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """An empty root with a glibc and a musl loader, as far as their places go."""
    root = tmp_path / "image"
    for place in ("lib64/ld-linux-x86-64.so.2", "lib/ld-musl-x86_64.so.1", "usr/lib/x86_64-linux-gnu/libc.so.6"):
        (root / place).parent.mkdir(parents=True)
        (root / place).touch()
    return root


@pytest.fixture
def sentinel(tmp_path: Path) -> Path:
    """A folder of the host that no link of an image may lead to."""
    host = tmp_path / "host"
    host.mkdir()
    (host / "owned").write_text("the host's")
    return host
