"""Whose cookie a container's display is asked for with."""

from pathlib import Path

import pytest

from gpudock.env.recipe import Recipe
from gpudock.env.services import display, xauth
from gpudock.env.session import Session
from gpudock.errors import HostError
from unit.env.sessions import session
from unit.recorded import Recorder

X11 = Recipe(display="x11")


def on_display(home: Path, said: list[str]) -> Session:
    return session({}, said)._replace(environment={"DISPLAY": ":7", "HOME": str(home / "root")})


def test_behind_sudo_the_cookie_is_in_the_persons_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ada").mkdir()
    file = tmp_path / "ada/.Xauthority"
    said: list[str] = []
    monkeypatch.setattr(
        "pwd.getpwuid", lambda uid: type("", (), {"pw_dir": f"{tmp_path}/ada"}) if uid == 1000 else None
    )
    made = on_display(tmp_path, said)
    with pytest.raises(HostError, match=r"no cookie.*:7"):
        display.shown(made, X11, "key")
    file.write_bytes(xauth.file(b"own", xauth.Display(7)))
    found = display.shown(made, X11, "key")
    assert [xauth.cookie(data, xauth.Display(0), b"") for data in found.files.values()] == [b"own"]
    assert said  # that it is a copy
    assert isinstance(made.run, Recorder)
    asked = made.run.asked[-1]
    assert asked.argv[:2] == ("xauth", "-q")
    assert asked.env is not None
    assert asked.env["XAUTHORITY"] == str(file)


def test_of_a_display_that_ssh_forwards_no_cookie_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ssh refuses every one but its own."""
    monkeypatch.setattr(display, "_relay", lambda *_: None)
    said: list[str] = []
    made = on_display(tmp_path, said)
    made = made._replace(environment={**made.environment, "DISPLAY": "localhost:10.0"})
    (tmp_path / "root").mkdir()
    (tmp_path / "root/.Xauthority").write_bytes(xauth.file(b"ssh's", xauth.Display(10)))
    found = display.shown(made, X11, "key")
    assert [xauth.cookie(data, xauth.Display(0), b"") for data in found.files.values()] == [b"ssh's"]
    assert isinstance(made.run, Recorder)
    assert made.run.asked == []
    assert "ssh session" in said[0]


def test_without_a_display_it_is_said(tmp_path: Path) -> None:
    made = on_display(tmp_path, [])
    with pytest.raises(HostError, match="ssh -X"):
        display.shown(made._replace(environment={}), X11, "key")
    assert display.shown(made, Recipe(), "key") == display.Shown()
    assert display.shown(made, Recipe(display="vnc"), "key").draws
