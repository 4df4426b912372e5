"""`gpudock run` and `create`: what reaches the engine when no GPU is asked for, help, and errors."""

import contextlib
import io
from pathlib import Path

import msgspec
import pytest

from gpudock.cli.run import _no_pull, owned
from gpudock.engine import flags
from gpudock.env.owner import Owner
from gpudock.errors import EngineError, GpudockError, UsageError
from gpudock.facts.engine import Engine
from gpudock.host import codec
from unit import machines
from unit.cli.invoked import Outcome, invoked


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


def ran(*words: str) -> Outcome:
    return invoked("run", *words)


def refused(*words: str) -> GpudockError:
    error = ran(*words).exception
    assert isinstance(error, GpudockError)
    return error


@pytest.mark.parametrize(
    ("gpus", "added"),
    [
        ((), ""),
        (("--gpus", "none"), " -e NVIDIA_VISIBLE_DEVICES=void"),  # whatever the image asks a default runtime for
        (("--gpus=0",), " -e NVIDIA_VISIBLE_DEVICES=void"),
    ],
)
@pytest.mark.usefixtures("path")
def test_without_gpus_it_is_the_engines_own_command(gpus: tuple[str, ...], added: str) -> None:
    found = ran("--dry-run", "--rm", *gpus, "-e", "A=b c", "image", "sh", "-c", "echo --gpus")
    assert found.stdout == f"podman run --rm -e 'A=b c'{added} image sh -c 'echo --gpus'\n"
    assert found.exit_code == 0


def test_a_container_says_whose_it_is() -> None:
    given = flags.scan(("--rm", "--gpus", "all", "image"))
    mine = ("--label", "gpudock.owner=alice", "--label", "gpudock.owner.uid=1000", "--rm")
    assert owned(given, Owner(1000, 1000, "alice")).flags == mine
    assert owned(given, Owner(0, 0, "root")) == given
    said = flags.scan(("--label", "gpudock.owner=course-7", "--gpus", "all", "image"))
    assert owned(said, Owner(1000, 1000, "alice")) == said


def test_a_named_docker(path: Path) -> None:
    program(path, "docker")
    found = invoked("create", "--dry-run", "-H", "ssh://lab", "image")
    assert found.stdout == "docker --host ssh://lab create image\n"


@pytest.mark.parametrize("words", [["--help"], ["--rm", "--help", "image"], ["-h"]])
def test_help(words: list[str]) -> None:
    found = ran(*words)
    assert found.exit_code == 0
    assert "[OPTIONS] IMAGE [COMMAND] [ARG...]" in found.stdout
    for option in ("--gpus", "--engine", "--context", "--host", "--dry-run"):
        assert option in found.stdout


@pytest.mark.parametrize("option", ["--simulated", "--driver-root", "--dev-root"])
@pytest.mark.usefixtures("path")
def test_options_of_other_verbs_never_reach_the_engine(option: str) -> None:
    for words in (["run", f"{option}=x", "--dry-run"], ["create", "--gpus", "all", option, "x"]):
        error = invoked(*words, "image").exception
        assert isinstance(error, UsageError)
        assert option in error.what
    assert ran("--dry-run", "image", option, "x").stdout == f"podman run image {option} x\n"


def test_another_machine_is_only_looked_at(tmp_path: Path) -> None:
    there = machines.snapshot(machines.whole(tmp_path).files())
    engine = Engine("docker", "/usr/bin/docker", "28.5.2", cdi=True)
    (tmp_path / "lab.json").write_bytes(codec.encode(msgspec.structs.replace(there, engines=(engine,))))
    words = ("--snapshot", str(tmp_path / "lab.json"), "--gpus", "device=1", "image")
    assert ran("--dry-run", *words).stdout == "docker run --device nvidia.com/gpu=1.compute.utility image\n"
    for others in ((), ("--dry-run", "--context", "lab")):
        assert "nothing can be started there" in refused(*others, *words).why + refused(*others, *words).what


def test_an_image_behind_an_unknown_flag_is_left_to_the_engine() -> None:
    leave = _no_pull("--nonsense", "tr\x1bue")
    with contextlib.redirect_stderr(io.StringIO()) as said:
        assert leave(("podman", "pull", "--", "true")) == 0
    assert said.getvalue().startswith("gpudock: tr\\x1bue is not fetched in advance: --nonsense is not known here")


@pytest.mark.usefixtures("path")
def test_what_cannot_be_understood() -> None:
    assert "No image" in refused("--rm").what
    assert "bogus" in refused("--gpus", "bogus", "image").what
    assert isinstance(refused("--engine", "lxc", "image"), UsageError)


def test_no_engine(path: Path) -> None:
    (path / "podman").unlink()
    assert isinstance(refused("--gpus", "all", "image"), EngineError)
