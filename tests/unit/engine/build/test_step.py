"""RUN steps as commands of containers."""

import pytest

from gpudock.engine.build.dockerfile import parse
from gpudock.engine.build.step import check, command
from gpudock.errors import RefusedError


def words(text: str, shell: tuple[str, ...] = (), **variables: str) -> tuple[str, ...]:
    file = parse(f"FROM a\n# gpudock: gpu\n{text}\n", "Dockerfile")
    check(file, file.instructions[1])
    return command(file, file.instructions[1], shell, variables)


def test_shell_form() -> None:
    assert words("RUN a && \\\n b") == ("/bin/sh", "-c", "a &&  b")
    assert words("RUN a", ("/bin/bash", "-o", "pipefail", "-c")) == ("/bin/bash", "-o", "pipefail", "-c", "a")


def test_build_arguments_are_exported_and_never_flags() -> None:
    assert words("RUN a", A="it's", B="") == ("/bin/sh", "-c", "export A='it'\"'\"'s'\nexport B=''\na")


def test_exec_form() -> None:
    assert words('RUN ["/a", "b c"]') == ("/a", "b c")
    assert words("RUN [ -f /a ]") == ("/bin/sh", "-c", "[ -f /a ]")


def test_heredocs() -> None:
    assert words("RUN <<EOF\na\nb\nEOF") == ("/bin/sh", "-c", "a\nb\n")
    assert words("RUN <<-EOF\n\ta\n\tEOF") == ("/bin/sh", "-c", "a\n")
    assert words("RUN python3 - <<EOF\nprint(1)\nEOF") == ("/bin/sh", "-c", "python3 - <<EOF\nprint(1)\nEOF\n")


@pytest.mark.parametrize(
    ("text", "shell", "why"),
    [
        ("RUN --mount=type=cache,target=/c a", (), "--mount"),
        ('RUN ["/a"]', (), "build arguments A"),
        ("RUN a", ("/usr/bin/python3", "-c"), "python3"),
        ("RUN <<EOF\n#!/usr/bin/env python3\nEOF", (), "#!"),
    ],
)
def test_what_cannot_be_run_is_refused_with_its_line(text: str, shell: tuple[str, ...], why: str) -> None:
    with pytest.raises(RefusedError, match=r"Dockerfile, line 3: ") as caught:
        words(text, shell, A="1")
    assert why in caught.value.why
