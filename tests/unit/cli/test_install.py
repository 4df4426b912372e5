"""`gpudock install --emit`: what another machine installs as root is named by whoever writes the script."""

import pytest

from gpudock import proc
from gpudock.errors import UsageError
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
