"""What tests of several rooms watch."""

import os

import pytest
from hypothesis import settings

settings.register_profile("gpudock", deadline=None)  # a machine with other work stops for seconds now and then
settings.load_profile("gpudock")


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that are synced meanwhile, in their order; they are synced all the same."""
    paths: list[str] = []
    sync = os.fsync

    def fsync(fd: int) -> None:
        paths.append(os.readlink(f"/proc/self/fd/{fd}"))
        sync(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    return paths
