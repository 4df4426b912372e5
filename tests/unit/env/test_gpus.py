"""GPUs of an environment: none of them without a doubt."""

import pytest

from gpudock.engine import prepare
from gpudock.engine.base import Wish
from gpudock.env import gpus
from unit.env.sessions import session


def no_tools(_: Wish) -> prepare.Tools:
    raise AssertionError("nothing has to be asked")


@pytest.mark.parametrize("asked", ["", "none"])
def test_without_gpus_an_image_that_asks_for_all_by_itself_gets_none(asked: str) -> None:
    """A CUDA image does, where the default runtime listens."""
    there = session({})
    argv = gpus.argv(there, "create", ("--name", "x", "image", "sleep", "1"), asked, no_tools)
    assert argv[len(there.client.words) :] == (
        *("create", "--name", "x", "-e", "NVIDIA_VISIBLE_DEVICES=void", "image", "sleep", "1"),
    )
