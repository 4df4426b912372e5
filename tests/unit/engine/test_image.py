"""Images: what they say, and whether they are fetched first."""

import pytest

from gpudock.engine import flags
from gpudock.engine.asked import about
from gpudock.engine.image import Image, PullFailed, pull_command, ready, understand, wants_pull
from gpudock.errors import EngineError
from gpudock.proc import Result
from unit.engine.wishes import DOCKER, PODMAN

THERE = Result(0, '{"Env": ["A=1", "B=x=y", "C"], "Labels": {"l": "v"}, "Cmd": null}\n', "")
BARE = Result(0, '{"Env": null, "Labels": null}', "")
ABSENT = Result(1, "", "Error: No such image: image\n")


def arguments(text: str) -> flags.Arguments:
    return flags.scan(tuple(text.split()))


def test_variables_and_labels() -> None:
    assert understand(DOCKER, "image", THERE) == Image({"A": "1", "B": "x=y", "C": ""}, {"l": "v"})
    assert understand(DOCKER, "image", BARE) == Image({}, {})


@pytest.mark.parametrize(
    "words", ["Error: No such image: x", "Error response from daemon: no such image: x", "Error: x: image not known"]
)
def test_an_image_that_is_not_there(words: str) -> None:
    assert understand(PODMAN, "x", Result(125, "", words)) is None


def test_other_failures_are_the_engines() -> None:
    with pytest.raises(EngineError, match="docker cannot tell about the image x") as caught:
        understand(DOCKER, "x", Result(1, "", "Error: invalid reference format\n"))
    assert "invalid reference format" in caught.value.why


@pytest.mark.parametrize("text", ["", "[]", "null", '{"Env": 3}', '{"Labels": ["a"]}', "[" * 100_000])
def test_answers_that_cannot_be_understood(text: str) -> None:
    with pytest.raises(EngineError, match="cannot be understood"):
        understand(DOCKER, "x", Result(0, text, ""))


@pytest.mark.parametrize(
    ("text", "present", "wanted"),
    [
        ("image", True, False),
        ("image", False, True),
        ("--pull missing image", False, True),
        ("--pull=never image", False, False),
        ("--pull always image", True, True),
        ("--pull newer image", True, True),
    ],
)
def test_when_an_image_is_fetched(text: str, *, present: bool, wanted: bool) -> None:
    assert wants_pull(arguments(text), present=present) is wanted


def test_pull_gets_the_flags_that_mean_the_same_there() -> None:
    found = pull_command(DOCKER, arguments("--rm --platform linux/arm64 -q --name x image sh"))
    assert found == ("docker", "pull", "--platform=linux/arm64", "--quiet=true", "--", "image")


def test_a_missing_image_is_fetched_and_looked_at_again() -> None:
    asked: list[tuple[str, ...]] = []

    def ask(argv: tuple[str, ...]) -> Result:
        asked.append(argv)
        return THERE

    def pull(argv: tuple[str, ...]) -> int:
        asked.append(argv)
        return 0

    found = ready(DOCKER, arguments("image"), ABSENT, ask=ask, pull=pull)
    assert found is not None
    assert found.environment["A"] == "1"
    assert asked == [("docker", "pull", "--", "image"), about(DOCKER, "image")]


def test_a_failing_pull_ends_with_its_own_exit_code() -> None:
    with pytest.raises(PullFailed) as caught:
        ready(DOCKER, arguments("image"), ABSENT, ask=lambda _: THERE, pull=lambda _: 17)
    assert caught.value.code == 17


def test_nothing_is_fetched_when_the_user_forbids_it() -> None:
    def pull(argv: tuple[str, ...]) -> int:
        raise AssertionError(argv)

    assert ready(DOCKER, arguments("--pull never image"), ABSENT, ask=lambda _: THERE, pull=pull) is None
    assert ready(DOCKER, arguments("image"), THERE, ask=lambda _: ABSENT, pull=pull) is not None


def test_an_image_that_was_left_to_the_engine_is_not_known() -> None:
    assert ready(DOCKER, arguments("image"), ABSENT, ask=lambda _: ABSENT, pull=lambda _: 0) is None
