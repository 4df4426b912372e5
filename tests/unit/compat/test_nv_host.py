import pytest

from gpudock.compat.nv_host import Host, load, parse
from gpudock.compat.nv_host_http import tunnel_words
from gpudock.compat.v1_error import V1Error


def nothing(text: str) -> None:
    raise AssertionError(text)


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("127.0.0.1:", Host("127.0.0.1", 3476)),
        ("tcp://lab:", Host("lab", 3476)),
        ("http://127.0.0.1:3476", Host("127.0.0.1", 3476)),
        ("http://127.0.0.1:22:80", Host("127.0.0.1", 80)),
        ("http://user@lab:80/path", Host("lab", 80)),
        ("[::1]:80", Host("::1", 80)),
        ("http://", Host("localhost", 3476)),
        (":80", Host("localhost", 80)),
        ("ssh://foo@10.0.0.1:22:80", Host("10.0.0.1", 80, True, "foo", 22)),
        ("ssh://foo@10.0.0.1:2222:", Host("10.0.0.1", 3476, True, "foo", 2222)),
        ("ssh://", Host("localhost", 3476, True, "me", 22)),
        ("unix:///var/run/docker.sock", None),
    ],
)
def test_29_addresses(text: str, host: Host | None) -> None:
    assert parse(text, "me", "NV_HOST") == host


@pytest.mark.parametrize(
    "text",
    [
        *("http://127.0.0.1", "ftp://h:", "127.0.0.1::3476", "h", "ssh://foo@10.0.0.1", "h:65536", "h:٣", "h:\n"),
        *("a b:", "ssh://-oProxyCommand=id@h:", "ssh://a;b@h:", "ssh://h:70000:", "http://h:1:2:3"),
    ],
)
def test_28_what_is_no_address(text: str) -> None:
    with pytest.raises(V1Error, match="invalid remote host URI") as caught:
        parse(text, "me", "NV_HOST")
    assert "NV_HOST is" in caught.value.why


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("tcp://127.0.0.1:2375", Host("127.0.0.1", 3476)),
        ("ssh://lab", Host("lab", 3476, True, "me", 22)),
        ("ssh://foo@lab:2222", Host("lab", 3476, True, "foo", 2222)),
        ("ssh://foo@lab:", Host("lab", 3476, True, "foo", 22)),
    ],
)
def test_dockers_port_is_not_the_plugins(text: str, host: Host) -> None:
    assert load({"DOCKER_HOST": text, "USER": "me"}, nothing) == host


def test_which_variable_counts() -> None:
    warnings: list[str] = []
    assert load({}, nothing) is None
    assert load({"NV_HOST": "a:", "DOCKER_HOST": "tcp://b:1"}, nothing) == Host("a", 3476)
    assert load({"NV_HOST": "a:", "DOCKER_HOST": ""}, warnings.append) == Host("a", 3476)
    assert warnings == ["Warning: NV_HOST is set but DOCKER_HOST is not"]


def test_the_tunnel_is_opensshs_with_its_own_checks() -> None:
    words = tunnel_words(Host("10.0.0.1", 80, True, "foo", 2222), "/t")
    assert words[0] == "ssh"
    assert words[words.index("-L") + 1] == "/t/plugin:localhost:80"
    assert words[words.index("-p") + 1] == "2222"
    assert words[words.index("-l") + 1] == "foo"
    assert words[-2:] == ("--", "10.0.0.1")
    assert not [word for word in words if "HostKey" in word or "KnownHosts" in word]
    assert "-l" not in tunnel_words(Host("h", 80, True), "/t")
