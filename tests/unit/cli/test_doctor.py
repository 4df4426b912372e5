"""`gpudock doctor` on snapshots: output, exit codes, refusals."""

import json
from pathlib import Path

import pytest

from gpudock.errors import UsageError
from gpudock.host import codec
from gpudock.provision import doctor
from unit.cli.invoked import invoked
from unit.provision import hosts


@pytest.fixture
def healthy(tmp_path: Path) -> str:
    return _written(tmp_path, {})


def _written(folder: Path, changes: dict[str, object]) -> str:
    path = folder / "machine.json"
    path.write_bytes(codec.encode(hosts.host(changes)))
    return str(path)


def test_a_healthy_machine(healthy: str) -> None:
    found = invoked("doctor", "--snapshot", healthy)
    assert (found.exit_code, found.stdout) == (0, f"Nothing is wrong: {len(doctor.CHECKS)} checks.\n")


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"nodes[/dev/nvidia-uvm]": None}, 4), ({"gpus[0].mig": True}, 1), ({"gpus[0].persistence": False}, 0)],
)
def test_the_exit_code_is_the_worst_severity(tmp_path: Path, changes: dict[str, object], code: int) -> None:
    path = _written(tmp_path, changes)
    assert invoked("doctor", "--snapshot", path).exit_code == code
    shown = invoked("host", "doctor", "--snapshot", path, "--json")
    assert (shown.exit_code, json.loads(shown.stdout)["exit_code"]) == (code, code)


def test_a_bundle_is_a_snapshot(tmp_path: Path) -> None:
    path = _written(tmp_path, {"setup.docker_group": ["annabel"]})
    made = tmp_path / "bundle.json"
    assert invoked("doctor", "--snapshot", path, "--bundle", str(made)).exit_code == 0
    assert b"annabel" not in made.read_bytes()
    assert "docker-group" in invoked("doctor", "--snapshot", str(made)).stdout


@pytest.mark.parametrize("words", [("--fix",), ("--container", "x")])
def test_a_snapshot_is_only_looked_at(healthy: str, words: tuple[str, ...]) -> None:
    found = invoked("doctor", "--snapshot", healthy, *words)
    assert isinstance(found.exception, UsageError)
    assert found.exception.mend


def test_yes_needs_fix(healthy: str) -> None:
    assert isinstance(invoked("doctor", "--snapshot", healthy, "--yes").exception, UsageError)


def test_verify_wants_the_machine_itself(healthy: str) -> None:
    assert isinstance(invoked("verify", "--snapshot", healthy).exception, UsageError)
    assert isinstance(invoked("verify", "--engine", "rkt").exception, UsageError)
