"""JSON through the C scanner: the same values as the json module, and one kind of error."""

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpudock.errors import InputError
from gpudock.start import parse

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES, st.sampled_from((None, 1)), st.sampled_from(("", " ", "\n\t ")))
def test_as_json_reads_it(value: object, indent: int | None, blanks: str) -> None:
    text = blanks + json.dumps(value, indent=indent) + blanks
    assert parse.json(text.encode(), "It") == value


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"{",
        b'{"a":}',
        b'{"a" 1}',
        b"[1,]",
        b"{} {}",
        b"nul",
        b'"\n"',
        b"\xff",
        b"\xef\xbb\xbf{}",
        b'{"a": 1}x',
        b"[" * 200_000,
        b'{"a":' * 200_000,
    ],
)
def test_broken_texts(data: bytes) -> None:
    with pytest.raises(InputError, match=r"It is no valid JSON\."):
        parse.json(data, "It")


@given(st.binary(max_size=60))
def test_any_bytes(data: bytes) -> None:
    try:
        expected = json.loads(data.decode())
    except ValueError:
        with pytest.raises(InputError):
            parse.json(data, "It")
    else:
        assert repr(parse.json(data, "It")) == repr(expected)


def test_half_a_surrogate_pair_is_kept() -> None:
    assert parse.json(b'"\\ud800"', "It") == "\ud800"


def test_numbers_too_long_for_the_interpreter() -> None:
    limit = sys.get_int_max_str_digits()
    with pytest.raises(InputError):
        parse.json(b"1" * (limit + 1), "It")
