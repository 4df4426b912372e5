"""settings.json: what refresh writes, the runtime reads."""

import json
from pathlib import Path

import pytest

import gpudock
from gpudock.errors import GpudockError
from gpudock.refresh import entry
from gpudock.refresh.paths import ROOT
from gpudock.refresh.settings import Settings
from gpudock.start import settings

SOURCES = str(Path(gpudock.__file__).parent)


def written(tmp_path: Path, text: str) -> str:
    path = tmp_path / "settings.json"
    path.write_text(text)
    path.chmod(0o644)
    return str(path)


def test_the_defaults_are_the_same_on_both_sides(tmp_path: Path) -> None:
    text = entry.files(SOURCES, Settings(), ROOT)[entry.SETTINGS].text
    read = settings.read(written(tmp_path, text))
    assert read.refresh == ("/opt/gpudock/current/bin/gpudock", "refresh", "--quiet")
    assert read.environment == {}
    for name in set(settings.Settings.__slots__) - {"refresh", "environment"}:
        assert getattr(read, name) == getattr(settings.DEFAULT, name)


def test_all_that_can_be_set_arrives(tmp_path: Path) -> None:
    chosen = Settings(
        accept_envvar_when_unprivileged=False,
        accept_volume_mounts=True,
        swarm_resource=("DOCKER_RESOURCE_GPU",),
        disable_require=True,
        runtimes=("/opt/my runc", "crun"),
    )
    where = ROOT._replace(state="/data/gpudock", cdi="/etc/cdi")
    made = entry.files(SOURCES, chosen, where)
    read = settings.read(written(tmp_path, made[entry.SETTINGS].text))
    assert (read.unprivileged, read.mounts, read.swarm, read.disable_require) == (
        *(False, True, ("DOCKER_RESOURCE_GPU",)),
        True,
    )
    assert read.specs == ("/etc/cdi/gpudock.json", "/run/gpudock/gpudock.json")
    assert read.environment == {"GPUDOCK_STATE_DIR": "/data/gpudock", "GPUDOCK_CDI_DIR": "/etc/cdi"}
    shell = entry.filled(made[entry.RUNTIME].text, "/a folder", "/usr/bin/python3", ("-I",))
    assert "for gd_name in '/opt/my runc' crun; do" in shell
    assert "-e DOCKER_RESOURCE_GPU=" in shell
    assert "gd_folder='/a folder' gd_python=/usr/bin/python3" in shell
    assert 'exec "$gd_python" -I "$gd_folder/runtime.py"' in shell
    assert "@" not in shell.replace("@*)", "").replace("@-", "").replace("=@", "").replace('"$@"', "")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", json.dumps({"spec": 1})])
def test_broken(tmp_path: Path, text: str) -> None:
    with pytest.raises(GpudockError, match=r"settings\.json"):
        settings.read(written(tmp_path, text))


def test_others_must_not_decide(tmp_path: Path) -> None:
    path = written(tmp_path, entry.files(SOURCES, Settings(), ROOT)[entry.SETTINGS].text)
    Path(path).chmod(0o666)
    with pytest.raises(GpudockError, match="can be written by others"):
        settings.read(path)
