"""The start files under the system's own Python: compiled, found without any environment, and nothing written."""

import os
from pathlib import Path

import pytest

from gpudock.refresh import install
from real.harness.commands import run

pytestmark = pytest.mark.real


def test_the_installed_hook_runs_from_compiled_files(tmp_path: Path) -> None:
    program, name, *arguments = install.installed(str(tmp_path))
    assert name == os.path.basename(program)
    current = Path(os.path.realpath(tmp_path / "current"))
    sources = set(current.rglob("*.py"))
    tag = run([program, "-c", "import sys; print(sys.implementation.cache_tag)"]).stdout.strip()
    compiled = {path.parent / "__pycache__" / f"{path.stem}.{tag}.pyc" for path in sources}
    assert compiled == set(current.rglob("*.pyc"))

    before = {path: path.stat().st_mtime_ns for path in current.rglob("*")}
    environment = {"PYTHONPATH": str(tmp_path), "PYTHONVERBOSE": "1"}  # what an image may say: not listened to
    done = run([program, *arguments], env=environment, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("gpudock-hook: This hook wants --plan")
    assert len(done.stderr.splitlines()) == 1
    assert {path: path.stat().st_mtime_ns for path in current.rglob("*")} == before
