"""The plugin of another machine may be anybody."""

import pytest

from gpudock.compat import v1_remote
from gpudock.compat.v1_error import V1Error
from gpudock.compat.v1_remote import Fetch, Reply

WORDS = "--volume-driver=nvidia-docker --volume=nvidia_driver_367.57:/usr/local/nvidia:ro --device=/dev/nvidiactl"


def answering(body: str, status: int = 200) -> Fetch:
    return lambda path: Reply(status, body if path else "")


def test_its_words_come_in_its_order() -> None:
    assert v1_remote.added(answering(WORDS), (), ("nvidia_driver",)) == WORDS.split()
    own = "--device=/run/driver/dev/nvidia0:/dev/nvidia0 --device=/dev/nvidia-caps/nvidia-cap21 --device=/dev/nvidia12"
    assert v1_remote.added(answering(own), (), ()) == own.split()


@pytest.mark.parametrize(
    "word",
    [
        *("--privileged", "-v/:/host", "--volume=/:/usr/local/nvidia:ro", "--volume=nvidia_driver_1:/etc:ro", "image"),
        *("--volume=nvidia_driver_..:/usr/local/nvidia:ro", "--device=/dev/sda", "--device=/dev/sda:/dev/nvidia0"),
        *("--device=/dev/../dev/sda", "--device=/dev/nvidia0:rwm:/dev/x", "--volume-driver=../x", "a\nb", "--pid=host"),
        "--volume=nvidia_driver_367.57:/usr/local/nvidia:rw",
    ],
)
def test_foreign_words_never_reach_docker(word: str) -> None:
    with pytest.raises(V1Error, match="do not belong into a command"):
        v1_remote.added(answering(f"{WORDS} {word}"), (), ())


@pytest.mark.parametrize(
    ("body", "what"),
    [("invalid device: 9\n", "invalid device: 9"), ("", "HTTP status 400"), ("\x1b[2J" * 999, "'\\x1b[2J")],
)
def test_an_error_is_said_and_not_run(body: str, what: str) -> None:
    with pytest.raises(V1Error) as caught:
        v1_remote.added(answering(body, 400), (), ())
    assert caught.value.what.startswith(what)
    assert len(caught.value.what) < 400


def test_what_is_asked_for() -> None:
    asked: list[str] = []

    def fetch(path: str) -> Reply:
        asked.append(path)
        return Reply(200, "")

    v1_remote.added(fetch, ("0", "GPU-8"), ("foo", "nvidia_driver"))
    v1_remote.added(fetch, (), ("foo&dev=1",))
    assert asked == ["/docker/cli?vol=nvidia_driver&dev=0+GPU-8", "/docker/cli?vol=foo%26dev%3D1"]


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"Version":[]}', "[" * 100_000])
def test_facts_that_are_none(body: str) -> None:
    with pytest.raises(V1Error, match="cannot be understood"):
        v1_remote.cuda(answering(body))
