"""Hostile and mistyped files end in one clear error, with file and line."""

import pytest

from gpudock.compat.compose import document, project
from gpudock.errors import InputError


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("services:\n  a: [1, 2\n", "f:3"),
        ("services:\n\ta: 1\n", "f:2"),
        ("a: *nobody\n", "f:1"),
        ("a: 1\na: 2\n", "a is there twice"),
        ("a: &x\n  b: *x\n", "holds itself"),
        ("a: 1\n---\nb: 2\n", "f:2"),
        ("? [a, b]\n: 1\n", "a key must be a word"),
        ("a:\n  <<: 5\n", "<< takes a mapping"),
        ("a: \x01\n", "f"),
        ("a: !!python/object:os.system x\n", "f"),
    ],
)
def test_bad_yaml(text: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        document.load("f", text)
    assert says in caught.value.what


def test_aliases_of_aliases_do_not_fill_the_memory() -> None:
    text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    text += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10))
    with pytest.raises(InputError, match="too large"):
        document.load("f", text)


def test_deep_nesting_is_an_error() -> None:
    with pytest.raises(InputError):
        document.load("f", "[" * 5000)


def test_values_are_those_that_compose_sees() -> None:
    found = document.load("f", 'a: 22:22\nb: 0755\nc: "1"\nd: yes\ne: 2001-01-01\nf: 1.10\ng: ~\n').value
    assert found == {"a": "22:22", "b": 0o755, "c": "1", "d": True, "e": "2001-01-01", "f": 1.1, "g": None}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("- a\n", "is not a compose file"),
        ("web:\n  image: x\n", "docker-compose 1.5"),
        ("services:\n  - web:\n      image: x\n", "f:1: services must be a mapping"),
        ("services:\n  web: nginx\n", "f:2: service web must be a mapping"),
        ("services: {}\nvolumes: [a]\n", "f:2: volumes must be a mapping"),
    ],
)
def test_files_that_are_no_compose_files(text: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        project.parsed("f", text)
    assert says in caught.value.what
    assert caught.value.exit_code == 3
