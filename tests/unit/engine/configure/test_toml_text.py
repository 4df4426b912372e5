"""TOML edited in place."""

import tomllib

import pytest

from gpudock.engine.configure import toml_text
from gpudock.errors import InputError

TEXT = """\
# top
version = 2 # keep
list = [
  "a", # first
]

[one] # the table
  # inside
  x = 1

[other]
y = 'z'
"""


def test_comments_order_and_spelling_stay() -> None:
    after = toml_text.edited(TEXT.encode(), "f", {("one", "new"): True, ("list",): ["a", "b"], ("p", "q"): {"r": 1}})
    lines = after.decode().splitlines()
    kept = [line for line in lines if line.strip() and line in TEXT.splitlines()]
    assert kept == [line for line in TEXT.splitlines() if line.strip()]
    assert tomllib.loads(after.decode()) == {
        "version": 2,
        "list": ["a", "b"],
        "one": {"x": 1, "new": True},
        "other": {"y": "z"},
        "p": {"q": {"r": 1}},
    }
    back = toml_text.edited(after, "f", {("list",): ["a"]}, [("one", "new"), ("p", "q", "r")])
    assert back.decode().rstrip() == TEXT.rstrip()


def test_what_is_so_already_stays_as_it_is_written() -> None:
    assert toml_text.edited(TEXT.encode(), "f", {("version",): 2, ("other", "y"): "z"}) == TEXT.encode()


def test_dropping_what_is_not_there_changes_nothing() -> None:
    assert toml_text.edited(TEXT.encode(), "f", {}, [("one", "no"), ("version", "x")]) == TEXT.encode()


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"a = [1\nb = 2\n", "f is not TOML: line 2"),
        (b"a = 1\na = 2\n", "f is not TOML: line"),
        (b"a = \xff\n", "f is not UTF-8 text: line 1"),
        (b"\xef\xbb\xbfa = 1\n", "f begins with a byte order mark"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(data: bytes, what: str) -> None:
    with pytest.raises(InputError) as told:
        toml_text.parse(data, "f")
    assert told.value.what.startswith(what)


def test_a_value_where_a_table_belongs_is_refused() -> None:
    with pytest.raises(InputError, match="one must be a table"):
        toml_text.edited(b"one = 1\n", "f", {("one", "x"): 1})
