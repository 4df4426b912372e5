import os
from pathlib import Path

import pytest

from gpudock.env import state
from gpudock.env.state import State
from gpudock.errors import RefusedError


def test_only_its_user_reads_it(tmp_path: Path) -> None:
    place = str(tmp_path / "a/b")
    before = os.umask(0)
    try:
        state.save(place, "key", State("secret"))
    finally:
        os.umask(before)
    assert (tmp_path / "a/b/key.json").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "a/b").stat().st_mode & 0o077 == 0
    assert state.load(place, "key").token == "secret"
    state.forget(place, "key")
    assert state.load(place, "key") == State()
    state.forget(place, "key")


def test_one_that_others_could_write_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "key.json").write_text('{"token": "theirs"}')
    (tmp_path / "key.json").chmod(0o666)
    with pytest.raises(RefusedError, match="not yours alone"):
        state.load(str(tmp_path), "key")
    (tmp_path / "link.json").symlink_to("key.json")
    with pytest.raises(RefusedError):
        state.load(str(tmp_path), "link")


def test_a_broken_one_is_none(tmp_path: Path) -> None:
    (tmp_path / "key.json").write_text("{")
    (tmp_path / "key.json").chmod(0o600)
    assert state.load(str(tmp_path), "key") == State()


def test_roots_is_roots_also_behind_sudo() -> None:
    assert state.folder({"HOME": "/home/eve", "XDG_STATE_HOME": "/home/eve/s"}, 0) == "/var/lib/gpudock/env"
    assert state.folder({"HOME": "/home/ada"}, 1000) == "/home/ada/.local/state/gpudock/env"
