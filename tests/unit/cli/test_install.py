"""`gpudock install --emit`: what another machine installs as root is named by whoever writes the script."""

import pytest

from gpudock.errors import UsageError
from unit.cli.invoked import invoked

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
