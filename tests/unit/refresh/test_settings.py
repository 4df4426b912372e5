"""[runtime] of the configuration file, as the runtime will go by it."""

from pathlib import Path

import pytest

from gpudock.errors import InputError
from gpudock.refresh import settings
from gpudock.refresh.settings import Settings

ALL = """\
[paths]
state = "/srv/gpudock"
[runtime]
accept-nvidia-visible-devices-envvar-when-unprivileged = false
accept-nvidia-visible-devices-as-volume-mounts = true
swarm-resource = ["DOCKER_RESOURCE_GPU", "DOCKER_RESOURCE_NVIDIA_GPU", "DOCKER_RESOURCE_GPU"]
disable-require = true
runtimes = ["/usr/local/sbin/runc", "crun"]
"""


def test_every_key_is_read(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(ALL)
    assert settings.read(str(tmp_path / "config.toml")) == Settings(
        accept_envvar_when_unprivileged=False,
        accept_volume_mounts=True,
        swarm_resource=("DOCKER_RESOURCE_GPU", "DOCKER_RESOURCE_NVIDIA_GPU"),
        disable_require=True,
        runtimes=("/usr/local/sbin/runc", "crun"),
    )


@pytest.mark.parametrize("text", [None, "", "[paths]\n", "[runtime]\n"])
def test_what_is_not_said_has_its_default(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "config.toml").write_text(text)
    assert settings.read(str(tmp_path / "config.toml")) == Settings()
    assert Settings().accept_envvar_when_unprivileged
    assert Settings().runtimes == ("runc", "crun")


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("debug = true", "has no key debug"),
        ('lookup = "guess"', "must be one of walk, openat2"),
        ("disable-require = 1", "disable-require must be true or false, not 1"),
        ('swarm-resource = "GPU"', "swarm-resource must be a list of texts, not GPU"),
        ("swarm-resource = [1]", "swarm-resource must be a list of texts"),
        ('swarm-resource = ["A-B"]', "A-B is no name of a variable"),
        ('runtimes = ["bin/runc"]', "bin/runc is neither a program's name nor an absolute path"),
        ("runtimes = []", "must name at least one program"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, line: str, what: str) -> None:
    (tmp_path / "config.toml").write_text(f"[runtime]\n{line}\n")
    with pytest.raises(InputError) as told:
        settings.read(str(tmp_path / "config.toml"))
    assert what in told.value.what
    assert str(tmp_path) in told.value.what


@pytest.mark.parametrize("text", ["runtime = 1\n", "[runtime\n", "[[runtime]]\n"])
def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(InputError, match=r"config\.toml"):
        settings.read(str(tmp_path / "config.toml"))
