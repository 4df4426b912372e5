"""What the verbs that work in an environment make of a command line, with an engine that is only recorded."""

import contextlib
import io
import json
import os
import signal
from pathlib import Path

import pytest

from gpudock import proc
from gpudock.cli import env_life, env_share, env_use
from gpudock.env import naming, state
from gpudock.env.archive import form
from gpudock.env.image import lock
from gpudock.env.session import Session
from unit.cli.invoked import invoked
from unit.env.locks import HASH, LOCK
from unit.env.sessions import session
from unit.env.test_mine import container
from unit.recorded import Recorder

IMAGE = json.dumps([{"Id": HASH, "RootFS": {"Layers": []}, "Config": {}}])
SERVICES = json.dumps([{"name": "jupyter", "port": 8888, "host_port": 8888}])


@pytest.fixture
def became(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The commands that take this process's place."""
    found: list[tuple[str, ...]] = []
    monkeypatch.setattr(proc, "become", found.append)
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # this process stays, and a closed pipe must not end it
    return found


def there(monkeypatch: pytest.MonkeyPatch, folder: Path, **variables: str) -> Session:
    """An environment of this folder that runs, on an engine that agrees to everything."""
    (folder / "gpudock.yaml").write_text("services: {jupyter: {}}\n")
    (folder / "gpudock.lock").write_bytes(lock.encode(LOCK))
    made = session({("podman", "image", "inspect"): IMAGE, ("podman", "container", "inspect"): "[]", ("podman",): ""})
    one = container(folder=str(folder), more={"gpudock.services": SERVICES})._replace(environment=variables)
    for module in (env_use, env_share, env_life):
        monkeypatch.setattr(module, "engine_of", lambda *_: made)
        for name in ("meant", "running"):
            monkeypatch.setattr(module, name, lambda *_: one, raising=False)
    monkeypatch.setenv("GPUDOCK_STATE_DIR", str(folder / "state"))
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    return made


def asked(made: Session) -> list[tuple[str, ...]]:
    assert isinstance(made.run, Recorder)
    return [each.argv[1:] for each in made.run.asked]


@pytest.mark.parametrize(("multiplexer", "first"), [("tmux", ("tmux", "new-session")), ("screen", ("screen", "-xRR"))])
def test_attach_on_a_kind_of_terminal_that_the_image_may_not_know(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    became: list[tuple[str, ...]],
    multiplexer: str,
    first: tuple[str, ...],
) -> None:
    there(monkeypatch, tmp_path, GPUDOCK_MULTIPLEXER=multiplexer)
    monkeypatch.setenv("TERM", "xterm-kitty")
    assert invoked("env", "attach").exit_code == 0
    (argv,) = became
    at = argv.index("/bin/sh")
    assert (argv[at + 1], argv[at + 3], argv[at + 4 : at + 6]) == ("-c", "sh", first)
    assert "export TERM=xterm-256color" in argv[at + 2]
    assert "TERM=xterm-kitty" in argv


def test_a_command_without_a_terminal_is_run_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, became: list[tuple[str, ...]]
) -> None:
    there(monkeypatch, tmp_path)
    invoked("env", "exec", "python", "-V")
    assert became[0][-3:] == (naming.ENTRY, "python", "-V")


def test_push_is_of_the_image_of_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, became: list[tuple[str, ...]]
) -> None:
    made = there(monkeypatch, tmp_path)
    assert invoked("env", "push", "-C", str(tmp_path), "example.org/seg:1").exception is None
    assert ("tag", HASH, "example.org/seg:1") in asked(made)
    assert became[0][1:] == ("push", "example.org/seg:1")
    (tmp_path / "gpudock.lock").unlink()
    assert "no image yet" in str(invoked("env", "push", "-C", str(tmp_path), "example.org/seg:1").exception)


@pytest.mark.parametrize(
    ("variables", "euid", "said"),
    [
        ({"DISPLAY": ":0"}, 1000, "no browser could be opened"),
        ({"DISPLAY": ":0"}, 0, ""),
        ({}, 1000, ""),
        (
            {"DISPLAY": ":0", "SSH_CONNECTION": "203.0.113.9 5 192.0.2.7 22"},
            1000,
            "ssh -N -L 8888:127.0.0.1:8888",
        ),
    ],
)
def test_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], euid: int, said: str) -> None:
    there(monkeypatch, tmp_path)
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    shown: list[tuple[str, ...]] = []

    def show(argv: tuple[str, ...]) -> int:
        shown.append(argv)
        return proc.NOT_FOUND

    monkeypatch.setattr(proc, "show", show)
    monkeypatch.setattr(os, "geteuid", lambda: euid)
    found = invoked("open")
    assert found.exception is None
    assert found.stdout.startswith("http://127.0.0.1:8888/lab")
    assert [argv[0] for argv in shown] == (["xdg-open"] if "no browser" in said else [])
    assert said in found.stderr


def test_rm_forgets_the_token_and_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = there(monkeypatch, tmp_path)
    assert "runs" in str(invoked("env", "rm").exception)
    place = state.folder(os.environ, os.geteuid())
    key = naming.key(made.owner.uid, str(tmp_path))
    state.save(place, key, state.State("secret"))
    assert invoked("env", "rm", "--force").exception is None
    assert state.load(place, key) == state.State()
    assert (tmp_path / "gpudock.yaml").exists()


@pytest.mark.parametrize(("tail", "said"), [("2", "two\nthree\n"), ("0", "\n"), ("9", "one\ntwo\nthree\n")])
def test_logs_of_a_stopped_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tail: str, said: str) -> None:
    there(monkeypatch, tmp_path)
    stopped = container(folder=str(tmp_path), more={"gpudock.services": SERVICES})._replace(state="exited")
    monkeypatch.setattr(env_use, "meant", lambda *_: stopped)
    packed = form.member("jupyter.log", b"one\ntwo\nthree\n") + form.end()
    monkeypatch.setattr(proc, "reading", lambda _: contextlib.nullcontext(io.BytesIO(packed).read))
    assert invoked("env", "logs", "jupyter", "--tail", tail).stdout == said
    assert invoked("env", "logs", "--tail", tail).stdout == f"== jupyter\n{said}"
    assert "no service web" in str(invoked("env", "logs", "web").exception)


def test_logs_of_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there(monkeypatch, tmp_path)
    assert "no number of lines" in str(invoked("env", "logs", "--tail", "x").exception)
    monkeypatch.setattr(env_use, "meant", lambda *_: container())
    assert "has no services" in invoked("env", "logs").stderr
