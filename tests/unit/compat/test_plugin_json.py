"""Bodies as Go writes them, requests as Go reads them."""

import pytest

from gpudock.compat.plugin_json import encoded, texts
from gpudock.errors import InputError


def test_it_writes_as_go_does() -> None:
    assert encoded({"Err": None}) == b'{"Err":null}\n'
    assert encoded("<a&b>\u2028é") == '"\\u003ca\\u0026b\\u003e\\u2028é"\n'.encode()
    assert encoded("\ud800") == '"\ufffd"\n'.encode()


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b'{"Name":"a"}', "a"),
        (b'{"name":"a"}', "a"),
        (b'{"Name":"a","NAME":"b"}', "b"),
        (b'{"Name":"a","Name":null}', "a"),
        (b"{}", ""),
        (b"null", ""),
        (b' \n{"Name":"a"} and more', "a"),
        (b'{"Name":"\\ud800"}', "\ud800"),
    ],
)
def test_it_reads_as_go_does(body: bytes, name: str) -> None:
    assert texts(body, "Name") == [name]


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"notjson", b"[]", b'"Name"', b"1", b'{"Name":1}', b'{"Name":["a"]}', b'{"Name":{}}', b'{"Name":NaN}'),
        *(b"[" * 100_000, b'{"Name":' * 50_000, b"1" * 10_000, b"\xff\xfe{}"),
    ],
    ids=lambda body: repr(body[:12]),
)
def test_all_else_is_refused(body: bytes) -> None:
    with pytest.raises(InputError):
        texts(body, "Name")
