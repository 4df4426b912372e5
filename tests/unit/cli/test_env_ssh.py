"""Whose ssh is told of environments."""

import os
from pathlib import Path

import pytest

from gpudock.errors import RefusedError
from unit.cli.invoked import invoked


def test_a_persons_ssh_is_not_given_what_only_root_can_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """sudo that keeps HOME: ssh would end with an error at every use."""
    os.chown(tmp_path, os.getuid() or 4321, -1)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    found = invoked("env", "ssh-config", "--write")
    assert isinstance(found.exception, RefusedError)
    assert "sudo -H" in found.exception.mend
    assert list(tmp_path.iterdir()) == []
