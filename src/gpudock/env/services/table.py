"""The services that gpudock knows, and how any other is run. Pure."""

import re
import shlex
from typing import NamedTuple

from gpudock.env.naming import WORKSPACE
from gpudock.env.recipe import Recipe, Service
from gpudock.env.services.place import CODE_EXTENSIONS, RUN
from gpudock.env.services.supervisor import Program
from gpudock.errors import InputError

JUPYTER_TOKEN = RUN + "/jupyter.token"
JUPYTER_CONFIG = RUN + "/jupyter"
CODE_CONFIG = RUN + "/code.yaml"
VNC_PASSWORD = RUN + "/vnc"
_PORTS = {"jupyter": 8888, "tensorboard": 6006, "code": 8000, "vnc": 5901}
_HEALTH = {"jupyter": "/api", "tensorboard": "/", "code": "/healthz", "vnc": ""}
_WITH_EXTENSIONS = f"""own=$HOME/.local/share/code-server/extensions
[ -d "$own" ] || [ ! -d {CODE_EXTENSIONS} ] || {{ mkdir -p "${{own%/*}}" && cp -R {CODE_EXTENSIONS} "$own"; }}
exec "$@\""""
_NAME = re.compile(r"^[a-z0-9][a-z0-9_.-]{0,30}$")


class Served(NamedTuple):
    """A service as it runs in a container. `port` 0: it has none, and is reached by exec (ssh)."""

    name: str
    port: int
    wished: int  # port of this machine
    address: str  # of this machine
    health: str  # path that answers when it is ready; "": it listens, and that is all one can ask
    argv: tuple[str, ...]

    @property
    def program(self) -> Program:
        return Program(self.name, self.argv)


def services(recipe: Recipe, *, root: bool) -> tuple[Served, ...]:
    """Those of a recipe that run all the time. `root`: the container's user is root."""
    found = [_served(name, service, root=root) for name, service in recipe.served.items() if name != "ssh"]
    if recipe.display == "vnc" and "vnc" not in recipe.served:
        found.append(_served("vnc", Service(), root=root))
    return tuple(found)


def _served(name: str, told: Service, *, root: bool) -> Served:
    if not _NAME.match(name):
        raise InputError(
            f"A service cannot be called {name[:40]!r}.", mend="use lower case letters, digits and hyphens"
        )
    port = told.port or _PORTS.get(name, 0)
    if not port:
        raise InputError(
            f"The service {name} needs a port.", mend=f"services: {{{name}: {{command: ..., port: 8080}}}}"
        )
    argv = _argv(told.command) if told.command else _known(name, port, told, root=root)
    health = told.health or _HEALTH.get(name, "")
    return Served(name, port, told.host_port or port, told.address, health, argv)


def _argv(command: str | tuple[str, ...]) -> tuple[str, ...]:
    return ("/bin/sh", "-c", "exec " + command) if isinstance(command, str) else command


def _known(name: str, port: int, told: Service, *, root: bool) -> tuple[str, ...]:
    if name == "jupyter":
        return (
            *("env", f"JUPYTER_TOKEN_FILE={JUPYTER_TOKEN}", f"JUPYTER_CONFIG_PATH={JUPYTER_CONFIG}"),
            *("jupyter", "lab", "--no-browser", "--ip=0.0.0.0", f"--port={port}", "--ServerApp.port_retries=0"),
            *(f"--ServerApp.root_dir={WORKSPACE}", *(("--allow-root",) if root else ())),
        )
    if name == "tensorboard":
        log = shlex.quote(told.logdir or "runs")
        words = f"mkdir -p {log} && exec tensorboard --bind_all --port={port} --logdir={log}"
        return ("/bin/sh", "-c", f"cd {WORKSPACE} && {words}")
    if name == "code":
        return (
            *("/bin/sh", "-c", _WITH_EXTENSIONS, "sh"),
            *("code-server", "--bind-addr", f"0.0.0.0:{port}", "--auth", "password", "--disable-telemetry"),
            *("--config", CODE_CONFIG, WORKSPACE),
        )
    if name == "vnc":
        screen = ("Xvnc", ":1", "-rfbport", str(port), "-SecurityTypes", "VncAuth", "-PasswordFile", VNC_PASSWORD)
        manager = "(sleep 1; DISPLAY=:1 exec openbox) &"  # without one no window can be moved
        return ("/bin/sh", "-c", f"{manager} exec {shlex.join(screen)}")
    raise InputError(
        f"The service {name} needs a command.", mend=f"services: {{{name}: {{command: ..., port: {port}}}}}"
    )


def takes_token(name: str) -> bool:
    return name in {"jupyter", "code"}


def url(served: Served, port: int, token: str = "") -> str:
    """Where a browser of this machine finds it."""
    host = "127.0.0.1" if served.address in {"", "0.0.0.0", "::", "127.0.0.1"} else served.address  # noqa: S104
    if served.name == "vnc":
        return f"vnc://{host}:{port}"
    query = f"?token={token}" if token and served.name == "jupyter" else ""
    path = "/lab" if served.name == "jupyter" else "/"
    return f"http://{host}:{port}{path}{query}"
