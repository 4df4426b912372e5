"""The command line of a build, taken apart and put together again."""

import pytest

from gpudock.engine.build.arguments import HelpAsked, scan
from gpudock.errors import UsageError


def test_the_engines_words_stay_as_they_were() -> None:
    words = (
        "--no-cache",
        "-t",
        "a:1",
        "--build-arg",
        "X=1 2",
        "-fDockerfile.gpu",
        "--label=l=m",
        ".",
        "-t=b",
        "--pull",
    )
    found = scan((*words, "--gpus", "device=0,1", "--engine=docker", "-H", "ssh://lab"))
    assert found.words() == tuple(word for word in words if word != ".")
    assert found.contexts == (".",)
    assert found.own == {"gpus": "device=0,1", "engine": "docker", "host": "ssh://lab"}
    assert found.values("tag") == ("a:1", "b")
    assert found.values("file") == ("Dockerfile.gpu",)


def test_what_is_held_back() -> None:
    found = scan(("-qt", "a", "--iidfile", "id", "--add-host", "a:1", "-"))
    assert found.words("tag", "iidfile") == ("-q", "--add-host", "a:1")
    assert found.contexts == ("-",)
    assert found.on("quiet")


@pytest.mark.parametrize(("words", "on"), [(("--pull",), True), (("--pull=false",), False), ((), False)])
def test_switches(words: tuple[str, ...], *, on: bool) -> None:
    assert scan(words).on("pull") is on


def test_after_two_dashes_nothing_is_a_flag() -> None:
    assert scan(("-q", "--", "--help")).contexts == ("--help",)


@pytest.mark.parametrize("words", [("--help",), (".", "-h"), ("-t", "a", "--help")])
def test_help(words: tuple[str, ...]) -> None:
    with pytest.raises(HelpAsked):
        scan(words)


@pytest.mark.parametrize("words", [("-t",), ("--file",), ("--gpus", "1", "--gpus=2"), ("--dry-run=perhaps",)])
def test_mistakes(words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        scan(words)
