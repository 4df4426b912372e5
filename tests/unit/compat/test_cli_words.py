import pytest

from gpudock.compat import cli_words

BOOLEAN = frozenset(("it", "rm", "i", "t", "d"))


@pytest.mark.parametrize(
    ("words", "end", "last"),
    [
        ("-it --rm image -x", 2, ("rm", "true")),
        ("-p80:80 image", 1, ("p", "80:80")),
        ("-p 80:80 image", 2, ("p", "80:80")),
        ("-itv /a:/b image", 2, ("v", "/a:/b")),
        ("-itv/a:/b image", 1, ("v", "/a:/b")),
        ("-vit=XYZ image", 1, ("v", "it=XYZ")),
        ("-v=/a:/b image", 1, ("v", "/a:/b")),
        ("-i=false image", 1, ("i", "false")),
        ("--name x image", 2, ("name", "x")),
        ("--name=x=y image", 1, ("name", "x=y")),
        ("--name", 1, ("name", "")),
        ("-v", 1, ("v", "")),
        ("-d -- -x image", 1, ("d", "true")),
        ("-d - image", 1, ("d", "true")),
    ],
)
def test_options(words: str, end: int, last: tuple[str, str]) -> None:
    given = tuple(words.split())
    found = cli_words.options(given, BOOLEAN)
    assert found.end == end
    assert (found.found[-1].name, found.found[-1].value) == last
    assert tuple(word for option in found.found for word in option.words) == given[:end]


def test_the_last_value_counts() -> None:
    found = cli_words.options(("-H", "a", "--host=b", "-D"), {"D"})
    assert found.last("H", "host") == "b"
    assert found.last("context") is None


@pytest.mark.parametrize(
    ("words", "name", "after"),
    [
        ("-H tcp://h:1 run image", ("run",), ("image",)),
        ("-Htcp://h:1 -D run image", ("run",), ("image",)),
        ("--tls container create -t image", ("container", "create"), ("-t", "image")),
        ("container", ("container",), ()),
        ("network create foo", ("network",), ("create", "foo")),
        ("-- run image", (), ("--", "run", "image")),
        ("--version", (), ()),
        ("", (), ()),
    ],
)
def test_call(words: str, name: tuple[str, ...], after: tuple[str, ...]) -> None:
    found = cli_words.call(tuple(words.split()))
    assert (found.name, found.after) == (name, after)
