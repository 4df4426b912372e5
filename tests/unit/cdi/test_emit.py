"""Whatever is written as YAML is read back the same, by the YAML of everybody else."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gpudock.cdi import emit

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cn", "Co")))
)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="ascii")), inner),
    max_leaves=30,
)


@settings(max_examples=500)
@given(DOCUMENTS)
def test_what_is_written_is_read_back(document: object) -> None:
    assert yaml.safe_load(emit.yaml(document)) == document


@pytest.mark.parametrize(
    "word",
    [
        "no",
        "Off",
        "null",
        "1.5",
        "0x1f",
        "-1",
        "1_000",
        "2001-01-01",
        "a: b",
        "a #b",
        "",
        " a",
        "~",
        "0:1",
        "=",
        "<<",
        "*x",
    ],
)
def test_words_that_yaml_takes_for_something_else_are_quoted(word: str) -> None:
    assert yaml.safe_load(emit.yaml({word: [word]})) == {word: [word]}


def test_a_specification_reads_as_people_write_it() -> None:
    document = {
        "kind": "nvidia.com/gpu",
        "devices": [
            {"name": "0", "containerEdits": {"deviceNodes": [{"path": "/dev/nvidia0", "major": 195}], "env": []}}
        ],
    }
    assert emit.yaml(document) == (
        "kind: nvidia.com/gpu\n"
        "devices:\n"
        '- name: "0"\n'
        "  containerEdits:\n"
        "    deviceNodes:\n"
        "    - path: /dev/nvidia0\n"
        "      major: 195\n"
        "    env: []\n"
    )
