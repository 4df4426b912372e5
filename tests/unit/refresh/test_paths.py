"""Where gpudock keeps things."""

import os
from pathlib import Path

import pytest

from gpudock.errors import InputError, RefusedError
from gpudock.refresh.paths import ROOT, Paths, check, paths


def config(tmp_path: Path, text: str | bytes) -> str:
    path = tmp_path / "config.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(path)


def test_roots_own(tmp_path: Path) -> None:
    found = paths({}, uid=0, config=str(tmp_path / "missing"))
    assert found == ROOT
    assert (found.trees, found.plans) == ("/var/lib/gpudock/driver", "/run/gpudock/plans")
    assert (found.spec, found.lock) == ("/var/run/cdi/gpudock.json", "/run/gpudock/refresh.lock")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        (
            {"HOME": "/home/u", "XDG_RUNTIME_DIR": "/run/user/7"},
            Paths(
                "/home/u/.local/share/gpudock",
                "/run/user/7/gpudock",
                "/run/user/7/gpudock/cdi",
                "/home/u/.local/share/gpudock/libexec",
            ),
        ),
        (
            {"XDG_DATA_HOME": "/data/"},
            Paths("/data//gpudock", "/run/user/7/gpudock", "/run/user/7/gpudock/cdi", "/data//gpudock/libexec"),
        ),
    ],
)
def test_a_users_own(environment: dict[str, str], expected: Paths, tmp_path: Path) -> None:
    """Never the machine's configuration: it may name folders that only root can write."""
    assert paths(environment, uid=7, config=config(tmp_path, '[paths]\nstate = "/root"')) == expected


def test_variables_win_over_the_configuration_and_that_over_the_defaults(tmp_path: Path) -> None:
    file = config(tmp_path, '[paths]\nstate = "/a"\nrun = "/b/"\n[other]\nx = 1')
    found = paths({"GPUDOCK_RUN_DIR": "/c", "GPUDOCK_CDI_DIR": ""}, uid=0, config=file)
    assert found == Paths("/a", "/c", ROOT.cdi, ROOT.libexec)


@pytest.mark.parametrize(
    "text",
    ["[paths]\nother = '/x'", "[paths]\nstate = 'x'", "[paths]\nstate = 1", "paths = 1", "[paths", b"x = '\xff'"],
)
def test_a_wrong_configuration_is_named(tmp_path: Path, text: str | bytes) -> None:
    file = config(tmp_path, text)
    with pytest.raises(InputError, match=file):
        paths({}, uid=0, config=file)


@pytest.mark.parametrize("name", ["STATE", "RUN", "CDI", "LIBEXEC"])
def test_a_relative_folder_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=name):
        paths({f"GPUDOCK_{name}_DIR": "x"}, uid=0, config=str(tmp_path / "missing"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root must not trust others")
class TestCheck:
    @pytest.fixture
    def own(self, tmp_path: Path) -> Paths:
        return Paths(*(f"{tmp_path}/{name}/deep" for name in ("state", "run", "cdi", "libexec")))

    def test_missing_folders_and_roots_own(self, own: Paths) -> None:
        check(own)
        for folder in own:
            os.makedirs(folder)
        check(own)

    @pytest.mark.parametrize("name", Paths._fields)
    @pytest.mark.parametrize("owner", [(12345, 0o755), (0, 0o775), (0, 0o777), (0, 0o1777)])
    def test_each_folder_counts_and_what_is_above_it(self, own: Paths, name: str, owner: tuple[int, int]) -> None:
        folder = getattr(own, name)
        os.makedirs(folder)
        for place in (folder, os.path.dirname(folder)) if owner[1] != 0o1777 else (folder,):
            os.chown(place, owner[0], -1)
            os.chmod(place, owner[1])
            with pytest.raises(RefusedError) as caught:
                check(own)
            assert folder in caught.value.what
            assert place in caught.value.why
            os.chown(place, 0, -1)
            os.chmod(place, 0o755)
        check(own)

    @pytest.mark.parametrize("below", ["trees", "plans"])
    def test_what_is_in_them_counts(self, own: Paths, below: str) -> None:
        os.makedirs(getattr(own, below))
        os.chown(getattr(own, below), 12345, -1)
        with pytest.raises(RefusedError, match=getattr(own, below)):
            check(own)

    def test_trees_behind_a_link(self, own: Paths, tmp_path: Path) -> None:
        os.makedirs(own.state)
        os.symlink(tmp_path, own.trees)
        with pytest.raises(RefusedError, match="is a link"):
            check(own)
