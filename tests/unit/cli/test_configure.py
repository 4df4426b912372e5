"""The command line of `gpudock configure`: what may be combined, what is said."""

import os
from pathlib import Path

import pytest

from gpudock.cli.main import main
from unit.recorded import fill


def called(*words: str) -> int | str | None:
    with pytest.raises(SystemExit) as ended:
        main(["configure", *words])
    return ended.value.code


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("docker", "--undo", "--no-default"), "--undo cannot be combined with --no-default"),
        (("docker", "--undo", "--swarm-resource", "GPU"), "--undo cannot be combined with --swarm-resource"),
        (("podman", "--hook-name"), "--hook-name is for docker, not for podman"),
        (("crio", "--no-cdi"), "--no-cdi is for docker and containerd, not for crio"),
        (("podman", "--config-file", "/x"), "--config-file is for docker and containerd"),
        (("docker", "--as", "runc"), "cannot be called runc"),
        (("lxc",), "'lxc' is not one of"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(
    words: tuple[str, ...],
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("STATE", "RUN", "LIBEXEC", "CDI"):
        monkeypatch.setenv(f"GPUDOCK_{name}_DIR", str(tmp_path / name))
    assert called(*words) == 2
    assert said in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


def test_an_engine_that_is_not_here_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, {"/bin/x": ""})
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for name in ("STATE", "RUN", "LIBEXEC", "CDI"):
        monkeypatch.setenv(f"GPUDOCK_{name}_DIR", str(tmp_path / name))
    assert called("crio") == 6
    assert "crio is not installed" in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["bin"]
