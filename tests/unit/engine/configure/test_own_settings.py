"""[runtime] of gpudock's own file."""

import os
from pathlib import Path

import pytest

from gpudock.engine.configure import own_settings
from gpudock.errors import InputError, RefusedError
from gpudock.refresh import settings
from unit.recorded import fill

CONFIG = "/etc/gpudock/config.toml"


@pytest.fixture(autouse=True)
def root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr("gpudock.publish.insecure", lambda _: None)  # for those who are not root and own the folder
    monkeypatch.setattr(os, "fchown", lambda *_: None)


def test_a_setting_is_added_and_the_rest_stays(tmp_path: Path) -> None:
    machine = fill(tmp_path, {CONFIG: '# ours\n[paths] # where\nstate = "/srv/gpudock"\n'})
    change = own_settings.plan(machine, CONFIG, {settings.ENVVAR: False, settings.SWARM: ["DOCKER_RESOURCE_GPU"]})
    assert change is not None
    change.apply()
    text = (tmp_path / CONFIG[1:]).read_text()
    assert text.startswith('# ours\n[paths] # where\nstate = "/srv/gpudock"\n')
    found = settings.read(str(tmp_path / CONFIG[1:]))
    assert (found.accept_envvar_when_unprivileged, found.swarm_resource) == (False, ("DOCKER_RESOURCE_GPU",))
    assert own_settings.plan(machine, CONFIG, {settings.ENVVAR: False}) is None
    assert own_settings.plan(machine, CONFIG, {}) is None


def test_a_value_that_is_none_is_refused_before_it_is_written(tmp_path: Path) -> None:
    machine = fill(tmp_path, {CONFIG: ""})
    with pytest.raises(InputError, match="is no name of a variable"):
        own_settings.plan(machine, CONFIG, {settings.SWARM: ["A B"]})


def test_only_root_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(RefusedError, match="Only root changes"):
        own_settings.plan(fill(tmp_path, {CONFIG: ""}), CONFIG, {settings.ENVVAR: False})
