"""Machines on which compose is called."""

from collections.abc import Callable
from pathlib import Path

import pytest

from unit.compat.compose.sessions import Lab

Make = Callable[..., Lab]


@pytest.fixture
def make_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    return lambda *given: Lab(tmp_path, monkeypatch, *given)


@pytest.fixture
def lab(make_lab: Make) -> Lab:
    """Docker with CDI, and docker-compose."""
    return make_lab()
