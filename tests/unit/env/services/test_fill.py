"""What is said when a container cannot be given its secrets."""

import pytest

from gpudock.env.services import fill
from gpudock.errors import EngineError
from gpudock.proc import Result
from unit.env.sessions import session
from unit.env.test_mine import container

THERE = container()
ENDED: dict[tuple[str, ...], Result | str] = {
    ("podman", "exec"): Result(125, "", "container is not running"),
    ("podman", "logs", "--tail", "3", THERE.id): "gpudock: the image has no setpriv\x1b[2J\n",
}


def test_a_container_that_ended_is_asked_why() -> None:
    with pytest.raises(EngineError) as raised:
        fill.fill(session(ENDED), THERE, {}, 0, 0)
    assert "not running" in raised.value.why
    assert raised.value.mend.startswith("the container said last: ")
    assert r"no setpriv\x1b[2J" in raised.value.mend
