from pathlib import Path

import pytest

from gpudock.compat import cli_environment
from gpudock.errors import InputError, UsageError


def configured(folder: Path, text: str) -> str:
    path = folder / "config.toml"
    path.write_text(text)
    return str(path)


def test_mode(tmp_path: Path) -> None:
    first = configured(tmp_path, "[nvidia_docker]\nmode = 1\n")
    assert cli_environment.mode({}, str(tmp_path / "none")) == 2
    assert cli_environment.mode({}, first) == 1
    assert cli_environment.mode({"GPUDOCK_NVIDIA_DOCKER": "2"}, first) == 2
    assert cli_environment.mode({"GPUDOCK_NVIDIA_DOCKER": "1"}, str(tmp_path / "none")) == 1
    assert cli_environment.mode({}, configured(tmp_path, "[runtime]\n")) == 2


@pytest.mark.parametrize(
    "text",
    [
        "nvidia_docker = 1",
        *(f"[nvidia_docker]\nmode = {value}" for value in ("3", "true", '"1"', "[]")),
        "mode =",
        "[nvidia_docker]\nmod = 1",
    ],
)
def test_a_configuration_that_is_wrong_names_its_file(tmp_path: Path, text: str) -> None:
    path = configured(tmp_path, text)
    with pytest.raises(InputError, match=path):
        cli_environment.mode({}, path)


def test_a_variable_that_is_wrong() -> None:
    with pytest.raises(UsageError, match="GPUDOCK_NVIDIA_DOCKER=one"):
        cli_environment.mode({"GPUDOCK_NVIDIA_DOCKER": "one"})


def test_docker() -> None:
    assert cli_environment.docker({}) == ("docker",)
    assert cli_environment.docker({"NV_DOCKER": " "}) == ("docker",)
    assert cli_environment.docker({"NV_DOCKER": "sudo docker -D"}) == ("sudo", "docker", "-D")


@pytest.mark.parametrize(
    ("value", "gpus"), [("", ()), (" ,", ()), ("0, 1", ("0", "1")), ("0 1", ("0", "1")), ("0,,GPU-1", ("0", "GPU-1"))]
)
def test_gpus(value: str, gpus: tuple[str, ...]) -> None:
    assert cli_environment.gpus({"NV_GPU": value}) == gpus
