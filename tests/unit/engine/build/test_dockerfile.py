"""Instructions of a Dockerfile, and the mark."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpudock.engine.build.dockerfile import Dockerfile, parse
from gpudock.errors import InputError


def read(text: str) -> Dockerfile:
    return parse(text, "Dockerfile")


def test_continued_lines_comments_and_the_mark() -> None:
    found = read(
        "# syntax=docker/dockerfile:1\nFROM a AS b\n\n# gpudock: gpu\n# why\nrun  one \\\n  # within\n\n  two\nCMD x\n"
    )
    keywords = [(each.keyword, each.line, each.arguments, each.marked) for each in found.instructions]
    assert keywords == [("FROM", 2, "a AS b", False), ("RUN", 6, "one   two", True), ("CMD", 10, "x", False)]
    assert found.directives == {"syntax": "docker/dockerfile:1"}
    assert found.text(1) == "# syntax=docker/dockerfile:1\nFROM a AS b\n"
    assert "# within" in found.text()


def test_the_escape_character() -> None:
    found = read("# escape=`\nRUN a `\n b\\\nRUN c\n")
    assert [each.arguments for each in found.instructions] == ["a  b\\", "c"]


def test_heredocs_are_one_instruction() -> None:
    found = read("FROM a\nRUN <<-'EOF' cat <<B\n\tRUN no\n\tEOF\nb\nB\nCOPY <<X /x\nFROM no\nX\nRUN y\n")
    assert [each.keyword for each in found.instructions] == ["FROM", "RUN", "COPY", "RUN"]
    assert [(each.name, each.body) for each in found.instructions[1].heredocs] == [("EOF", ("RUN no",)), ("B", ("b",))]
    assert found.instructions[2].raw == "COPY <<X /x\nFROM no\nX"


def test_a_shift_is_no_heredoc() -> None:
    assert read("RUN echo $((1<<2)) a<<b\nRUN x\n").instructions[0].heredocs == ()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("FROM a\n# gpudock: gpu\nCOPY a b\n", 3),
        ("FROM a\n# gpudock: gpu\n", 2),
        ("FROM a\n# gpudock: cpu\nRUN b\n", 2),
        ("FROM a\nRUN cat <<EOF\nb\n", 2),
    ],
)
def test_mistakes_name_the_line(text: str, line: int) -> None:
    with pytest.raises(InputError, match=f"line {line}"):
        read(text)


@given(st.text(alphabet=st.sampled_from("FROMRUN <\\\n#\t-'\"EOFgpudock: =")))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = read(text)
    except InputError:
        return
    again = read(found.text())
    assert [each[:1] + each[3:5] for each in again.instructions] == [
        each[:1] + each[3:5] for each in found.instructions
    ]
