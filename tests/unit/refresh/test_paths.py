"""Where gpudock keeps things."""

from pathlib import Path

import pytest

from gpudock.errors import InputError
from gpudock.refresh.paths import ROOT, Paths, in_force, paths


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


@pytest.mark.parametrize(("machines", "users", "found"), [(0, 0, ROOT.cdi), (1, 1, ROOT.cdi), (0, 1, "/run/user/7")])
def test_the_machines_specification_is_everybodys(
    monkeypatch: pytest.MonkeyPatch, machines: int, users: int, found: str
) -> None:
    there = {ROOT.spec: machines, "/run/user/7/gpudock/cdi/gpudock.json": users}
    monkeypatch.setattr("os.path.exists", lambda path: bool(there.get(path, path == "/")))
    assert in_force({"HOME": "/home/u"}, uid=7).spec.startswith(found)


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
