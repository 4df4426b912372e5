"""Made files lie in a private folder, and do not stay for ever."""

import os
import time
from pathlib import Path

import pytest

from gpudock.compat.compose import store
from gpudock.errors import RefusedError


def elsewhere(path: str, data: bytes) -> None:
    Path(path).write_bytes(data)


def test_files_are_the_users_own(tmp_path: Path) -> None:
    kept = store.Store(str(tmp_path / "run"), "a")
    path = kept.path("/x/compose.yaml", 0)
    out = str(tmp_path / "out.yml")
    store.write({path: "made", out: "named"}, elsewhere)
    assert Path(path).read_text() == "made"
    assert Path(out).read_text() == "named"
    assert oct(os.stat(path).st_mode & 0o777) == "0o600"
    assert oct(os.stat(os.path.dirname(path)).st_mode & 0o777) == "0o700"
    assert path == store.Store(str(tmp_path / "run"), "a").path("/x/compose.yaml", 0)
    assert path != store.Store(str(tmp_path / "run"), "b").path("/x/compose.yaml", 0)


def test_old_ones_are_removed_by_the_next_call(tmp_path: Path) -> None:
    first, second = (store.Store(str(tmp_path), name) for name in "ab")
    store.write({first.path("x.yml", 0): "1"}, elsewhere)
    old = time.time() - store.KEPT - 5
    os.utime(first.folder, (old, old))
    store.write({second.path("x.yml", 0): "2"}, elsewhere)
    assert not os.path.exists(first.folder)
    assert os.path.exists(second.folder)


def test_a_folder_that_others_can_change_is_refused(tmp_path: Path) -> None:
    kept = store.Store(str(tmp_path), "a")
    (tmp_path / store.FOLDER).mkdir()
    (tmp_path / store.FOLDER).chmod(0o777)
    with pytest.raises(RefusedError, match="must not be kept"):
        store.write({kept.path("x.yml", 0): "1"}, elsewhere)


def test_where_nothing_can_be_made_a_temporary_folder_serves(tmp_path: Path) -> None:
    assert store.folder_for(str(tmp_path / "new/run")) == str(tmp_path / "new/run")
    (tmp_path / "file").write_text("")
    made = store.folder_for(str(tmp_path / "file/run"))
    assert os.path.isdir(made)
    os.rmdir(made)


def test_the_first_folder_that_can_be_made_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda path, _: str(path) == str(tmp_path))
    assert store.folder_for("/run/user/7/gpudock", f"{tmp_path}/share/gpudock") == f"{tmp_path}/share/gpudock"
    assert not (tmp_path / "share").exists()
