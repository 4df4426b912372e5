"""`gpudock run` and `create`: what reaches the engine when no GPU is asked for, help, and errors."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gpudock.cli.run import create, run
from gpudock.errors import EngineError, GpudockError, UsageError


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The PATH, with a podman that nothing here starts."""
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("GPUDOCK_ENGINE", "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    program(tmp_path, "podman")
    return tmp_path


def program(folder: Path, name: str) -> None:
    (folder / name).touch(0o755)


def ran(*words: str) -> Result:
    return CliRunner().invoke(run, words, prog_name="run")


def refused(*words: str) -> GpudockError:
    error = ran(*words).exception
    assert isinstance(error, GpudockError)
    return error


@pytest.mark.parametrize("gpus", [(), ("--gpus", "none"), ("--gpus=0",)])
@pytest.mark.usefixtures("path")
def test_without_gpus_it_is_the_engines_own_command(gpus: tuple[str, ...]) -> None:
    found = ran("--dry-run", "--rm", *gpus, "-e", "A=b c", "image", "sh", "-c", "echo --gpus")
    assert found.stdout == "podman run --rm -e 'A=b c' image sh -c 'echo --gpus'\n"
    assert found.exit_code == 0


def test_a_named_docker(path: Path) -> None:
    program(path, "docker")
    found = CliRunner().invoke(create, ["--dry-run", "-H", "ssh://lab", "image"], prog_name="create")
    assert found.stdout == "docker --host ssh://lab create image\n"


@pytest.mark.parametrize("words", [["--help"], ["--rm", "--help", "image"], ["-h"]])
def test_help(words: list[str]) -> None:
    found = ran(*words)
    assert found.exit_code == 0
    assert "[OPTIONS] IMAGE [COMMAND] [ARG...]" in found.stdout
    for option in ("--gpus", "--engine", "--context", "--host", "--dry-run"):
        assert option in found.stdout


@pytest.mark.usefixtures("path")
def test_what_cannot_be_understood() -> None:
    assert "No image" in refused("--rm").what
    assert "bogus" in refused("--gpus", "bogus", "image").what
    assert isinstance(refused("--engine", "lxc", "image"), UsageError)


def test_no_engine(path: Path) -> None:
    (path / "podman").unlink()
    assert isinstance(refused("--gpus", "all", "image"), EngineError)
