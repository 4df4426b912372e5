"""`gpudock install --emit`: what another machine installs as root is named by whoever writes the script."""

import json

import pytest

from gpudock import proc
from gpudock.cli import install
from gpudock.errors import UsageError
from gpudock.provision.install.target import SYSTEMS, Target
from unit import h200
from unit.cli.invoked import invoked
from unit.recorded import Recorder

WORDS = ("install", "--os", "debian-12", "--driver", "none", "--emit", "sh")


@pytest.mark.parametrize("kind", ["sh", "cloud-init"])
def test_no_bare_name_is_left_to_pip(kind: str) -> None:
    error = invoked(*WORDS[:-1], kind).exception
    assert isinstance(error, UsageError)
    assert "--emit needs --gpudock" in error.what
    assert "as root" in error.why


def test_what_is_named_is_installed() -> None:
    said = invoked(*WORDS, "--gpudock", "/root/gpudock-0.1.0-py3-none-any.whl").stdout
    assert "pip install --disable-pip-version-check /root/gpudock-0.1.0-py3-none-any.whl" in said
    assert "gpudock==" not in said


def test_versions_of_docker_and_of_the_driver_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {
        (
            "apt-cache",
            "madison",
            "docker.io",
        ): "docker.io | 20.10.24+dfsg1-1 | http://a/debian bookworm/main amd64 Packages\n",
        ("apt-cache", "pkgnames"): "nvidia-driver\n",
        ("apt-cache", "madison"): "nvidia-driver | 535.261.03-1 | http://a/debian bookworm/non-free amd64 Packages\n",
    }
    monkeypatch.setattr(proc, "run", Recorder(answers))
    said = invoked("install", "--list-versions")
    assert [line.split() for line in said.stdout.splitlines()] == [
        ["docker.io", "20.10.24+dfsg1-1", "bookworm/main"],
        ["nvidia-driver", "535.261.03-1", "bookworm/non-free"],
    ]
    assert "docker.com's versions are listed once" in said.stderr


def test_the_host_group_has_them_too() -> None:
    assert (
        invoked("host", *WORDS, "--gpudock", "/root/g.whl").stdout == invoked(*WORDS, "--gpudock", "/root/g.whl").stdout
    )


@pytest.fixture
def debian(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine is one that plans exist for."""
    here = Target(SYSTEMS["debian-12"], here=True, gpus=(), packages={})
    monkeypatch.setattr(install, "_target", lambda *_: here)


@pytest.mark.usefixtures("debian")
def test_a_script_for_machines_like_this_one_installs_gpudock_there() -> None:
    error = invoked("install", "--emit", "sh").exception
    assert isinstance(error, UsageError)
    assert "--emit needs --gpudock" in error.what
    script = invoked("install", "--emit", "sh", "--gpudock", "/root/g.whl").stdout
    assert 'STEPS="machine old_sources old_containers old_packages docker_packages docker_service gpudock' in script


@pytest.mark.usefixtures("debian")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--user", "nobody-of-that-name"), "There is no user nobody-of-that-name here."),
        (("--docker", "debs", "--debs", "/nowhere"), "There are no .deb files in /nowhere."),
    ],
)
def test_what_must_be_here_is_told_before_anything_is_done(
    monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    error = invoked("install", *words, "--yes").exception
    assert isinstance(error, UsageError)
    assert error.what == said


def test_drivers_as_json_have_names() -> None:
    told = json.loads(invoked("drivers", "--json", "--snapshot", str(h200.SNAPSHOT)).stdout)
    assert told["generations"] == ["Hopper"]
    assert {"version", "package", "source", "cuda", "suits", "life"} == {*told["rows"][0]}
