"""Where the Dockerfile of a build lies."""

from pathlib import Path

import pytest

from gpudock.engine.build import source
from gpudock.engine.build.arguments import scan
from gpudock.errors import InputError, UsageError


def test_in_the_context_or_by_name(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM a\n")
    other = tmp_path / "Other"
    other.write_text("FROM b\n")
    (tmp_path / "Other.dockerignore").touch()
    assert source.read(scan((str(tmp_path),)), "podman").instructions[0].arguments == "a"
    found = source.read(scan(("-f", str(other), str(tmp_path))), "docker")
    assert found.instructions[0].arguments == "b"
    assert source.ignore_file(found) == f"{other}.dockerignore"
    (tmp_path / "Containerfile").write_text("FROM c\n")
    assert source.read(scan((str(tmp_path),)), "podman").instructions[0].arguments == "c"
    assert source.read(scan((str(tmp_path),)), "docker").instructions[0].arguments == "a"
    assert source.read(scan(("-f", "Other", str(tmp_path))), "podman").instructions[0].arguments == "b"


@pytest.mark.parametrize("words", [("-",), ("https://example.com/x.git",), (".", "."), (), ("-f", "a", "-f", "b", "/")])
def test_what_cannot_be_read_here(words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        source.read(scan(words), "docker")


def test_a_mistyped_flag_that_took_the_context_is_named() -> None:
    with pytest.raises(UsageError) as caught:
        source.read(scan(("-t", "a", "--bogus", ".")), "docker")
    assert caught.value.why == "0 were given; --bogus took . for its value"


def test_missing_and_broken_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Containerfile"):
        source.read(scan((str(tmp_path),)), "podman")
    (tmp_path / "Dockerfile").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="not a text"):
        source.read(scan((str(tmp_path),)), "docker")
    (tmp_path / "Dockerfile").write_bytes(b"#" * (5 << 20))
    with pytest.raises(InputError, match="too large"):
        source.read(scan((str(tmp_path),)), "docker")
