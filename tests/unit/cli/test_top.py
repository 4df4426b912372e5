"""`gpudock top` where it cannot run: it says so before anything is started."""

import importlib.util
from typing import Any

import pytest

from gpudock.cli import top
from gpudock.cli.main import called
from gpudock.errors import HostError, UsageError


def test_without_its_extra_it_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec

    def without_textual(name: str, *rest: Any) -> Any:
        return None if name == "textual" else find(name, *rest)

    monkeypatch.setattr(importlib.util, "find_spec", without_textual)
    with pytest.raises(HostError) as raised:
        called(["top"])
    assert "pipx inject gpudock textual" in raised.value.mend
    assert "status --watch" in raised.value.mend


def test_without_a_terminal_it_names_status() -> None:
    with pytest.raises(UsageError, match="needs a terminal") as raised:
        called(["top"])
    assert "gpudock status" in raised.value.mend


def test_accounts_without_a_name_have_their_number() -> None:
    assert top._name(0) == "root"
    assert top._name(4_000_000_123) == "#4000000123"
