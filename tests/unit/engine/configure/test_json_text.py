"""JSON edited as text."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpudock.engine.configure import json_text
from gpudock.errors import InputError

KEYS = st.text(st.characters(codec="utf-8"), max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | KEYS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=4)


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("", '{\n  "a": {\n    "b": true\n  }\n}\n'),
        ("{}\n", '{\n  "a": {\n    "b": true\n  }\n}\n'),
        ('{"x":1}', '{"x":1, "a":{"b":true}}'),
        ('{"x": 1, "y": 2}', '{"x": 1, "y": 2, "a": {"b": true}}'),
        ('{\n\t"x": 1\n}', '{\n\t"x": 1,\n\t"a": {\n\t\t"b": true\n\t}\n}'),
        ('{\n    "a": {}\n}\n', '{\n    "a": {\n        "b": true\n    }\n}\n'),
        ('{"a": {"b": false, "c": [1,  2]}}', '{"a": {"b": true, "c": [1,  2]}}'),
        ('{"a": null}', '{"a": {"b": true}}'),
    ],
)
def test_a_value_is_written_in_the_style_of_the_file(text: str, after: str) -> None:
    assert json_text.put(text, ("a", "b"), value=True) == after


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ('{"a": {"b": 1}}', '{"a": {}}'),
        ('{"a": {"b": 1, "c": 2}}', '{"a": {"c": 2}}'),
        ('{"a": {"c": 2,  "b": 1}}', '{"a": {"c": 2}}'),
        ('{"a": 1}', '{"a": 1}'),
        ("", ""),
    ],
)
def test_a_value_is_taken_out(text: str, after: str) -> None:
    assert json_text.drop(text, ("a", "b")) == after


@given(OBJECTS, KEYS, KEYS, VALUES, st.sampled_from([None, 1, 2, 4, "\t"]))
def test_an_edit_changes_what_it_says_and_nothing_else(
    value: dict[str, object], one: str, two: str, new: object, indent: int | str | None
) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    inner = value.get(one)
    expected = {**value, one: {**inner, two: new} if isinstance(inner, dict) else {two: new}}
    after = json_text.put(text, (one, two), new)
    assert json.loads(after) == expected
    assert list(json.loads(after)) == list(expected)
    if one not in value and value:
        assert json_text.drop(after, (one,)) == text


@pytest.mark.parametrize(
    ("data", "what", "why"),
    [
        (b'{"a": 1,}', "line 1, column 9", "comma before"),
        (b'{\n  "a": 1 // x\n}', "line 2, column 10", "no comments"),
        (b'# mine\n{"a": 1}', "line 1, column 1", "no comments"),
        (b'{\n "a" 1}', "line 2, column 6", "Expecting ':'"),
        (b"[1]", "must be an object", "it is [1]"),
        (b'{"a": 1, "a": 2}', "has a twice", "ignore the other"),
        (b'{"a": {"b": NaN}}', "the number NaN", ""),
        (b'\xef\xbb\xbf{"a": 1}', "byte order mark", "refuse"),
        (b'{"a":\n "\xff"}', "line 2", "invalid start byte"),
        (b"[" * 100_000, "nested too deeply", ""),
    ],
)
def test_what_is_wrong_is_told_with_its_place(data: bytes, what: str, why: str) -> None:
    with pytest.raises(InputError) as told:
        json_text.parse(json_text.text_of(data, "daemon.json"), "daemon.json")
    assert told.value.what.startswith("daemon.json")
    assert what in told.value.what
    assert why in told.value.why
