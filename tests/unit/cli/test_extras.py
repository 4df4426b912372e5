"""What `gpudock serve` and `gpudock top` say where their packages are not installed."""

import pytest

import gpudock
from gpudock.cli import main
from gpudock.cli.extras import need
from gpudock.errors import HostError


@pytest.fixture(autouse=True)
def lacking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "uvicorn" else object())


def test_what_is_lacking_and_how_to_get_it() -> None:
    need("live view", "tui", "textual")
    with pytest.raises(HostError, match="without its web server") as error:
        need("web server", "web", "starlette", "uvicorn")
    assert error.value.why == "uvicorn is not there"
    assert error.value.mend == "pipx inject gpudock starlette uvicorn, or: pip install 'gpudock[web]'"


def test_no_unit_is_installed_that_could_not_serve() -> None:
    with pytest.raises(HostError, match="without its web server"):
        main.called(["serve", "--install-units"])


def test_roots_copy_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """pipx would change the user's installation alone."""
    monkeypatch.setattr(gpudock, "__file__", "/opt/gpudock/1-ab/lib/gpudock/__init__.py")
    with pytest.raises(HostError) as error:
        need("web server", "web", "uvicorn")
    assert error.value.mend.endswith('then sudo "$(command -v gpudock)" refresh --install-units')
