"""The program `nvidia-docker`: which mode, what is printed, and the exit codes. Nothing is started here."""

import re

import pytest

from gpudock.cli import nvidia_docker
from gpudock.compat.cli_start import Start

LOG = r"/usr/bin/nvidia-docker \| \d{4}/\d\d/\d\d \d\d:\d\d:\d\d "


def ended(monkeypatch: pytest.MonkeyPatch, *words: str, **env: str) -> object:
    for name in ("NV_HOST", "DOCKER_HOST", "NV_DOCKER", "NV_GPU", "GPUDOCK_NVIDIA_DOCKER"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.argv", ["/usr/bin/nvidia-docker", *words])
    with pytest.raises(SystemExit) as caught:
        nvidia_docker.main()
    return caught.value.code


def test_errors_of_mode_1_are_log_lines_with_one_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(monkeypatch, "ps", GPUDOCK_NVIDIA_DOCKER="1", NV_HOST="h\x1b[2J") == 1
    lines = capsys.readouterr().err.splitlines()
    assert re.fullmatch(LOG + "Warning: NV_HOST is set but DOCKER_HOST is not", lines[0])
    assert re.fullmatch(LOG + "Error: invalid remote host URI", lines[1])
    assert lines[2].startswith("  why:  NV_HOST is 'h\\x1b[2J'")
    assert lines[3].startswith("  mend: ")


def test_errors_of_mode_2_are_gpudocks(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(monkeypatch, "ps", GPUDOCK_NVIDIA_DOCKER="3") == 2
    assert capsys.readouterr().err.startswith("gpudock: GPUDOCK_NVIDIA_DOCKER=3 is not a mode")
    assert ended(monkeypatch, "run", "image", NV_DOCKER="/no/such/docker") == 4
    assert "/no/such/docker is not installed" in capsys.readouterr().err


def test_banner_notes_and_command(capsys: pytest.CaptureFixture[str]) -> None:
    start = Start(("docker", "run", "a b"), banner="NVIDIA Docker: 1.0.1\n\n", notes=("a note",), dry_run=True)
    assert nvidia_docker._become(start) == 0
    assert capsys.readouterr() == ("NVIDIA Docker: 1.0.1\n\ndocker run 'a b'\n", "gpudock: a note\n")


def test_nv_debug(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Mode 2 shows the command, as the script's `set -x` did, and mode 1 where an error comes from."""
    become: list[tuple[str, ...]] = []

    def noted(argv: tuple[str, ...], *, dry_run: bool) -> int:
        become.append(argv)
        return int(dry_run)

    monkeypatch.setattr("gpudock.cli.run.become", noted)
    monkeypatch.setenv("NV_DEBUG", "1")
    assert nvidia_docker._become(Start(("docker", "run", "a b\x1b"))) == 0
    assert capsys.readouterr().err == "+ docker run 'a b\\x1b'\n"
    assert become == [("docker", "run", "a b\x1b")]
    assert ended(monkeypatch, "ps", GPUDOCK_NVIDIA_DOCKER="1", NV_HOST="x", NV_DEBUG="1") == 1
    assert "Error: invalid remote host URI\n" in (said := capsys.readouterr().err)
    assert "Traceback" in said
    assert "nv_host.py" in said


def test_what_failed_before_has_said_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert nvidia_docker._become(Start((), failed=125)) == 125
    assert capsys.readouterr() == ("", "")
