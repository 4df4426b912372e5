"""Names of the runtime."""

import pytest

from gpudock.engine.configure import wish
from gpudock.errors import UsageError


@pytest.mark.parametrize("name", ["gpudock", "nvidia", "nvidia-cdi", "a.b_c"])
def test_names_that_engines_take(name: str) -> None:
    assert wish.check_name(name) == name


@pytest.mark.parametrize("name", ["runc", "crun", "", "-x", "a/b", "a b", "x" * 65, "\x1b[2J"])
def test_names_that_they_do_not_take(name: str) -> None:
    with pytest.raises(UsageError):
        wish.check_name(name)


def test_our_program_is_known_wherever_it_is_installed() -> None:
    assert wish.ours("/usr/libexec/gpudock/current/gpudock-runtime")
    assert wish.ours("/home/a/.local/share/gpudock/libexec/current/gpudock-runtime")
    assert not any(map(wish.ours, ("/usr/bin/nvidia-container-runtime", None, 1, "gpudock-runtime")))
