"""JSON out again: what was read comes out with the same meaning."""

import json
import random
import sys
from typing import Any

import pytest

from gpudock.start import encode, parse


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[]",
        '{"a":{},"b":[]}',
        '{"unknown":[1,2.5,-3,1e400,true,false,null,"\\u00e9\\ud83d\\ude00\\"\\\\\\n"],"z":1,"a":2}',
        '"\\ud800"',  # half of a surrogate pair: Go writes it as a replacement, other programs as it is
        "18446744073709551615",
        "[[[[[]]],{}]]",
    ],
)
def test_the_same_meaning(text: str) -> None:
    value = parse.json(text.encode(), "it")
    data = encode.json(value)
    assert data.isascii()
    assert json.loads(data) == json.loads(text)


def test_names_keep_their_order() -> None:
    assert encode.json({"z": 1, "a": {"y": [], "b": 2}}) == b'{"z":1,"a":{"y":[],"b":2}}'


def test_without_the_interpreters_own_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "_json", None)
    assert encode.json({"a": [1, "é"]}) == b'{"a":[1,"\\u00e9"]}'


def test_without_the_interpreters_whole_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    value = {"a": [1, "é", {}, [], {"b": [True, None, 1.5]}], "c": "d"}
    whole = encode.json(value)
    monkeypatch.setattr("_json.make_encoder", None)
    assert encode.json(value) == whole == json.dumps(value, separators=(",", ":")).encode()


def test_any_value_comes_back() -> None:
    source = random.Random(5)
    for _ in range(500):
        value = _value(source, 4)
        assert parse.json(encode.json(value), "it") == value


def _value(source: random.Random, depth: int) -> Any:
    kind = source.randrange(8 if depth else 6)
    if kind == 6:
        return [_value(source, depth - 1) for _ in range(source.randrange(4))]
    if kind == 7:
        return {_text(source): _value(source, depth - 1) for _ in range(source.randrange(4))}
    return (None, True, False, source.randrange(-(1 << 70), 1 << 70), source.uniform(-1e9, 1e9), _text(source))[kind]


def _text(source: random.Random) -> str:
    return "".join(chr(source.randrange(1, 0xD7FF)) for _ in range(source.randrange(6)))
