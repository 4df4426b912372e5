"""Where an environment's windows appear: on the caller's X display, or on one of its own that VNC shows.

The container gets a cookie of its own for that one display, in its memory. Access control stays as it is.
"""

import contextlib
import os
import pwd
import secrets
import socket
import sys
import tempfile
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from gpudock import proc, publish
from gpudock.engine.containers import Container
from gpudock.env.recipe import Recipe
from gpudock.env.services import xauth
from gpudock.env.services.place import RUN
from gpudock.env.services.table import VNC_PASSWORD
from gpudock.env.services.xauth import Display
from gpudock.env.session import Session
from gpudock.env.state import State
from gpudock.errors import EngineError, HostError, UsageError
from gpudock.refresh import paths

INSIDE = ":0"
_COOKIE = RUN + "/xauth"
_SOCKETS = "/tmp/.X11-unix"  # noqa: S108  where X programs look
_VNC_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"
_SET_VNC = f"""umask 077
vncpasswd -f >{VNC_PASSWORD}.new && chown "$1" {VNC_PASSWORD}.new && mv {VNC_PASSWORD}.new {VNC_PASSWORD}"""
_LARGEST = 1 << 16


class Shown(NamedTuple):
    flags: tuple[str, ...] = ()
    files: Mapping[str, bytes] = {}
    draws: bool = False


def shown(session: Session, recipe: Recipe, key: str, *, dry_run: bool = False) -> Shown:
    """What the container needs for the recipe's display; in a dry run no cookie is made. Raises HostError, InputError,
    UsageError.
    """
    if recipe.display == "vnc":
        return Shown(("-e", "DISPLAY=:1"), draws=True)
    if recipe.display != "x11":
        return Shown()
    if session.remote:
        raise UsageError("display: x11 needs an engine on this machine.", mend="take display: vnc")
    text = session.environment.get("DISPLAY", "")
    if not text:
        raise HostError(
            "There is no X display: DISPLAY is not set.", mend="start from a desktop, by ssh -X, or take display: vnc"
        )
    found = xauth.display(text)
    relay = f"{paths.paths(session.environment, uid=os.geteuid()).run}/x11/{key}"
    source = f"{relay}:{_SOCKETS}" if found.port else f"{found.socket}:{_SOCKETS}/X0"
    flags = ("-v", source, "-e", f"DISPLAY={INSIDE}", "-e", f"XAUTHORITY={_COOKIE}")
    if dry_run:
        return Shown(flags, draws=True)
    if found.port:
        _relay(relay, found.port)
    return Shown(flags, {_COOKIE: xauth.file(_cookie(session, text, found), Display(0))}, draws=True)


def _cookie(session: Session, text: str, found: Display) -> bytes:
    """A new one for this container where the server makes them, else the user's own. ssh lets only the one pass that it
    made for its session.
    """
    file = _xauthority(session)
    made = None if found.port else _made(session, text, found, file)
    cookie = made or xauth.cookie(_file(file), found, socket.gethostname().encode())
    if cookie is None:
        raise HostError(
            f"There is no cookie for the display {text}.",
            why=f"{file} has none, and the X server made none by xauth",
            mend="see what this says: xauth list; a server without access control is not used",
        )
    if found.port:
        session.say("the container gets the cookie of this ssh session, which ends with it")
    elif made is None:
        session.say("this X server makes no cookies of its own for containers: the container gets a copy of yours")
    return cookie


def _made(session: Session, text: str, found: Display, own: str) -> bytes | None:
    with tempfile.TemporaryDirectory(prefix="gpudock-x11-") as folder:
        path = f"{folder}/xauth"
        words = ("xauth", "-q", "-f", path, "generate", text, ".", "trusted", "timeout", "0")
        session.run(proc.Command(words, timeout=10.0, env={**session.environment, "XAUTHORITY": own}))
        return xauth.cookie(_file(path), found, socket.gethostname().encode())


def _xauthority(session: Session) -> str:
    """The file with the user's cookies. Behind sudo HOME is root's, and the display is still the person's."""
    homes = [session.environment.get("HOME", "")]
    with contextlib.suppress(KeyError):
        homes.append(pwd.getpwuid(session.owner.uid).pw_dir)
    places = [session.environment.get("XAUTHORITY", ""), *(f"{home}/.Xauthority" for home in homes)]
    return next((place for place in places if place and os.path.exists(place)), places[1])


def _file(path: str) -> bytes:
    try:
        return publish.read_capped(path, _LARGEST)
    except OSError:
        return b""


def _relay(folder: str, port: int) -> None:
    """A display that ssh forwards listens on this machine's own loopback, which a container does not reach: a relay
    gives it a socket, for as long as ssh does.
    """
    publish.make_folder(folder, 0o755)
    proc.detached((sys.executable, "-m", "gpudock.env.services.x11_relay", f"{folder}/X0", str(port)))


def with_vnc(session: Session, recipe: Recipe, container: Container, kept: State, who: tuple[int, int]) -> State:
    """The generated password, in the form that Xvnc reads, which its own program makes."""
    if recipe.display != "vnc" and "vnc" not in recipe.services:
        return kept
    password = kept.vnc or "".join(secrets.choice(_VNC_LETTERS) for _ in range(8))  # VNC looks at no more than 8
    words = ("exec", "-i", "--user", "0", container.id, "/bin/sh", "-c", _SET_VNC, "sh", f"{who[0]}:{who[1]}")
    done = session.ask(*words, stdin=password.encode() + b"\n")
    if not done.ok:
        raise EngineError(
            "The VNC password could not be set.",
            why=done.err.strip()[-200:],
            mend="the image needs tigervnc: gpudock lock, then gpudock up --force-recreate",
        )
    return msgspec.structs.replace(kept, vnc=password)
