"""What is wrong on the command line is said before anything is built or stopped."""

from pathlib import Path

import pytest

from gpudock.cli import env_up
from gpudock.errors import GpudockError, RefusedError
from unit.cli.invoked import invoked
from unit.env.sessions import session


@pytest.mark.parametrize("words", [("--gpus", "x"), ("--gpus", "device="), ("--memory", "x")])
def test_no_engine_is_asked_for_what_means_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    (tmp_path / "gpudock.yaml").write_text("{}")
    made = session({})
    monkeypatch.setattr(env_up, "engine_of", lambda *_: made)
    found = invoked("up", "-C", str(tmp_path), "--force-recreate", *words)
    assert isinstance(found.exception, GpudockError)
    assert made.run.asked == []  # type: ignore[attr-defined]


def test_a_dry_run_makes_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gpudock.yaml").write_text("{}")
    monkeypatch.setattr(env_up, "engine_of", lambda *_: session({("podman",): "[]"}))
    for words in (("up", "--dry-run"), ("env", "run", "--dry-run", "-C", str(tmp_path), "true")):
        found = invoked(*words, *(("-C", str(tmp_path)) if words[0] == "up" else ()))
        assert isinstance(found.exception, RefusedError)
        assert found.exception.mend == "gpudock lock"
    assert [each.name for each in tmp_path.iterdir()] == ["gpudock.yaml"]
