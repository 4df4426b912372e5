"""`gpudock build` up to the engine."""

from pathlib import Path

import pytest

from gpudock.errors import EngineError, UsageError
from unit.cli.invoked import invoked


@pytest.fixture(autouse=True)
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The PATH, with a podman that nothing here starts."""
    monkeypatch.setenv("PATH", f"{tmp_path}")
    for name in ("GPUDOCK_ENGINE", "DOCKER_HOST", "CONTAINER_HOST", "CONTAINER_CONNECTION"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "podman").touch(0o755)
    return tmp_path


@pytest.mark.parametrize("gpus", ["none", "0"])
def test_without_gpus_it_is_the_engines_own_build(gpus: str) -> None:
    found = invoked("build", "--dry-run", "--gpus", gpus, "-t", "a b", "-f", "X", ".", "--iidfile=id")
    assert found.stdout == "podman build -t 'a b' -f X --iidfile=id .\n"


def test_help() -> None:
    found = invoked("build", ".", "--help")
    assert found.exit_code == 0
    assert "# gpudock: gpu" in found.stdout
    for option in ("--gpus", "--engine", "--context", "--host", "--dry-run"):
        assert option in found.stdout


@pytest.mark.parametrize(
    "words",
    [
        ("--gpus", "many", "."),
        ("--engine", "kaniko", "."),
        ("--engine", "buildah", "-H", "h", "."),
        ("--tag",),
        ("--gpus=1", "--gpus=2"),
    ],
)
def test_mistakes_are_told_before_any_engine_is_asked(words: tuple[str, ...]) -> None:
    assert isinstance(invoked("build", *words).exception, UsageError)


def test_buildah_when_it_is_asked_for_or_all_there_is(path: Path) -> None:
    words = ("build", "--dry-run", "--gpus", "none", "--compat-volumes", ".")
    assert isinstance(invoked(*words, "--engine", "buildah").exception, EngineError)
    (path / "buildah").touch(0o755)
    assert invoked(*words).stdout == "podman build --compat-volumes .\n"
    assert invoked(*words, "--engine", "buildah").stdout == "buildah build --compat-volumes .\n"
    (path / "podman").unlink()
    assert invoked(*words).stdout == "buildah build --compat-volumes .\n"
    assert isinstance(invoked("run", "--dry-run", "image").exception, EngineError)  # it runs no containers
