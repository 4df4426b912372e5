import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpudock.env.services import xauth
from gpudock.env.services.xauth import Display
from gpudock.errors import InputError

SECRET = bytes(range(16))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (":0", Display(0)),
        (":12.1", Display(12)),
        ("unix:3", Display(3)),
        ("localhost:10.0", Display(10, 6010)),
        ("127.0.0.1:11", Display(11, 6011)),
    ],
)
def test_displays_of_this_machine(text: str, expected: Display) -> None:
    assert xauth.display(text) == expected


@pytest.mark.parametrize("text", ["", "0", "other:0", ":x", "wayland-0"])
def test_others_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="no X display"):
        xauth.display(text)


def test_what_is_written_is_read_back_on_any_machine() -> None:
    data = xauth.file(SECRET, Display(0))
    assert len(xauth.entries(data)) == 1
    assert xauth.cookie(data, Display(0), b"whatever") == SECRET
    assert xauth.cookie(data, Display(1), b"whatever") is None


def test_a_cookie_of_another_machine_or_kind_is_not_taken() -> None:
    def entry(family: int, address: bytes, name: bytes) -> bytes:
        parts = (address, b"0", name, SECRET)
        return family.to_bytes(2, "big") + b"".join(len(part).to_bytes(2, "big") + part for part in parts)

    elsewhere = entry(0x0100, b"elsewhere", xauth.COOKIE)
    other = entry(0x0100, b"here", b"XDM-AUTHORIZATION-1")
    assert xauth.cookie(elsewhere + other, Display(0), b"here") is None
    assert xauth.cookie(elsewhere + other + entry(0x0100, b"here", xauth.COOKIE), Display(0), b"here") == SECRET


@given(st.binary(max_size=200))
def test_broken_files_give_what_is_whole(data: bytes) -> None:
    for entry in xauth.entries(data):
        assert isinstance(entry.data, bytes)
    whole = xauth.file(SECRET, Display(0))
    assert xauth.cookie(whole + data, Display(0), b"x") == SECRET
