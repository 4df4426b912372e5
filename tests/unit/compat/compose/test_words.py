"""Own options stand before the command; everything else is passed on as it is."""

import pytest

from gpudock.compat.compose import compose, drop_in
from gpudock.compat.compose.words import Grammar, HelpAsked, scan
from gpudock.errors import UsageError


def test_own_options_are_taken_and_the_rest_is_left() -> None:
    found = scan(
        ("--style", "cdi", "-f", "a.yml", "--file=b.yml", "-p", "x", "--ansi", "never", "--verbose", "up", "-d"),
        compose.GRAMMAR,
    )
    assert found.own == {"style": "cdi"}
    assert found.files == ("a.yml", "b.yml")
    assert found.project == "x"
    assert found.passed == ("-p", "x", "--ansi", "never", "--verbose")
    assert found.command == ("up", "-d")
    assert found.plain == ("-f", "a.yml", "--file=b.yml", "-p", "x", "--ansi", "never", "--verbose", "up", "-d")


@pytest.mark.parametrize(
    "words",
    [
        ("logs", "-f", "web"),
        ("exec", "-t", "web", "sh"),
        ("exec", "-T", "web", "ls", "-G", "--check", "--style", "cdi"),
        ("run", "-n", "x", "--rm", "web", "-o", "--help"),
        ("up", "--help"),
        ("logs", "-n", "5", "-t"),
    ],
)
@pytest.mark.parametrize("grammar", [compose.GRAMMAR, drop_in.GRAMMAR])
def test_nothing_after_the_command_is_ours(words: tuple[str, ...], grammar: Grammar) -> None:
    found = scan(("-f", "x.yml", *words), grammar)
    assert found.command == words
    assert not found.own
    assert not found.switches


@pytest.mark.parametrize(
    "words", [("-fa.yml",), ("-f", "a.yml"), ("-f=a.yml",), ("--file", "a.yml"), ("--file=a.yml",)]
)
def test_a_file_in_every_spelling(words: tuple[str, ...]) -> None:
    assert scan((*words, "up"), drop_in.GRAMMAR).files == ("a.yml",)


def test_flags_of_nvidia_docker_compose() -> None:
    found = scan(("-G", "-o", "out.yml", "-t", "t.jinja", "-n", "host:1", "up"), drop_in.GRAMMAR)
    assert found.own == {"output": "out.yml", "template": "t.jinja", "plugin": "host:1"}
    assert found.switches == {"generate"}


def test_mistakes() -> None:
    with pytest.raises(HelpAsked):
        scan(("-h",), compose.GRAMMAR)
    with pytest.raises(UsageError, match="needs a value"):
        scan(("--style",), compose.GRAMMAR)
