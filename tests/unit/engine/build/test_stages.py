"""Dockerfiles cut and continued."""

import pytest

from gpudock.engine.build import stages
from gpudock.engine.build.dockerfile import parse
from gpudock.errors import RefusedError

FILE = parse(
    """ARG BASE=debian
FROM $BASE AS tool
ARG A B="x y" C=
ENV E=$A
# gpudock: gpu
RUN one
RUN two
FROM tool AS last
# gpudock: gpu
RUN three
COPY --from=0 /a /a
""",
    "Dockerfile",
)


def test_marked_steps_in_order_and_no_further_than_the_target() -> None:
    first = next(stages.marked(FILE, None), None)
    assert first == 4
    assert next(stages.marked(FILE, "0"), None) == 4
    rest = stages.continued(FILE, 4, "made:1", {}, {})
    second = next(stages.marked(rest, "LAST"), None)
    assert second is not None
    assert rest.instructions[second].arguments == "three"
    assert next(stages.marked(rest, "tool"), None) is None
    assert next(stages.marked(rest, "0"), None) is None


def test_a_stage_goes_on_from_the_committed_image() -> None:
    config = {"Entrypoint": ["/e"], "Cmd": None, "Shell": ["/bin/sh", "-eu", "-c"]}
    found = stages.continued(FILE, 4, "made:1", {"A": None, "B": 'x "y" $z\\', "C": ""}, config)
    assert found.text().splitlines()[:11] == [
        "ARG BASE=debian",
        "FROM made:1 AS tool",
        "ARG A",
        'ARG B="x \\"y\\" \\$z\\\\"',
        'ARG C=""',
        'ENTRYPOINT ["/e"]',
        "CMD []",
        'SHELL ["/bin/sh", "-eu", "-c"]',
        "RUN two",
        "FROM tool AS last",
        "RUN three",
    ]


def test_the_engine_is_asked_for_build_arguments() -> None:
    assert stages.arguments(FILE, 4) == {"A": False, "B": True, "C": True}
    assert stages.arguments(FILE, 7) == {}
    text = stages.asking(FILE, 4, ("A", "B"))
    assert text.endswith('ENV E=$A\nLABEL gpudock.build-argument.A="${A}"\nLABEL gpudock.build-argument.B="${B}"\n')
    assert "RUN" not in text


def test_variables_in_every_stage() -> None:
    lines = stages.with_variables(FILE, {"NVIDIA_VISIBLE_DEVICES": "all"}).text().splitlines()
    assert [lines[at + 1] for at, line in enumerate(lines) if line.startswith("FROM")] == [
        "ARG NVIDIA_VISIBLE_DEVICES=all"
    ] * 2


def test_devices_for_buildkit() -> None:
    text = stages.with_devices(FILE, ("nvidia.com/gpu=0", "nvidia.com/gpu=1")).text()
    assert "RUN --device=nvidia.com/gpu=0 --device=nvidia.com/gpu=1 one\nRUN two\n" in text
    plain = parse("FROM a\nRUN one\nRUN --device=x two\nRUN <<EOF\nRUN\nEOF\n", "f")
    assert stages.with_devices(plain, ("d",)).text() == (
        "FROM a\nRUN --device=d one\nRUN --device=x two\nRUN --device=d <<EOF\nRUN\nEOF\n"
    )


def test_what_cannot_be_split_names_the_line() -> None:
    with pytest.raises(RefusedError, match="line 1"):
        stages.cannot_split(parse("# escape=`\nFROM a\n", "f"))
    with pytest.raises(RefusedError, match="line 2"):
        stages.stage_of(parse("# gpudock: gpu\nRUN a\n", "f"), 0)
    with pytest.raises(RefusedError, match="line 2"):
        stages.arguments(parse("FROM a\nARG A='b\nRUN c\n", "f"), 2)
    with pytest.raises(RefusedError, match="line break"):
        stages.continued(FILE, 4, "made:1", {"A": "a\nb"}, {})
