"""The engines of this machine, and those of its users, as far as we may ask them."""

import os
import pwd
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from gpudock.engine import detect, endpoint
from gpudock.engine.base import Client
from gpudock.engine.docker import Docker
from gpudock.engine.podman import Podman
from gpudock.errors import GpudockError

if TYPE_CHECKING:
    from gpudock.engine.base import Answer
    from gpudock.engine.endpoint import Endpoint
    from gpudock.errors import EngineError
    from gpudock.proc import Result


class As(NamedTuple):
    """A client that is run as another user, with that user's own settings."""

    client: Client
    before: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.client.name

    @property
    def words(self) -> tuple[str, ...]:
        return (*self.before, *self.client.words)

    @property
    def endpoint(self) -> "Endpoint":
        return self.client.endpoint

    @property
    def question(self) -> tuple[str, ...]:
        return (*self.before, *self.client.question)

    @property
    def beside_devices(self) -> tuple[str, ...]:
        return self.client.beside_devices

    def understand(self, result: "Result") -> "Answer":
        return self.client.understand(result)

    def looking_in(self, folder: str, answer: "Answer") -> "Client | None":
        return self.client.looking_in(folder, answer)

    def unusable(self, problem: str) -> "EngineError":
        return self.client.unusable(problem)

    def without_mechanism(self, answer: "Answer") -> "EngineError":
        return self.client.without_mechanism(answer)


def clients(user: int, environment: Mapping[str, str]) -> tuple[Client, ...]:
    """Of `user` (0: the machine's own, or rather the caller's). Only root may ask another user's."""
    machine = detect.this_machine(environment)
    me = os.geteuid()
    if user in {0, me}:
        try:
            found = detect.installed(machine)
        except GpudockError:  # docker's own settings are broken; its command will say so
            return ()
        return tuple(each for each in found if _here(each))
    return _of_user(user, machine) if me == 0 else ()


def _here(client: Client) -> bool:
    """Not on another machine, and not an engine that was never started."""
    socket = client.endpoint.socket
    return socket is not None and (client.name == "podman" or os.path.exists(socket))


def _of_user(uid: int, machine: detect.Machine) -> tuple[Client, ...]:
    try:
        account = pwd.getpwuid(uid)
    except KeyError:
        return ()
    runtime = f"/run/user/{uid}"
    settings = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": account.pw_dir,
        "USER": account.pw_name,
        "LC_ALL": "C",
        **({"XDG_RUNTIME_DIR": runtime} if os.path.isdir(runtime) else {}),
    }
    words = ("env", "-i", "--chdir=/", *(f"{name}={value}" for name, value in settings.items()))
    who = ("setpriv", f"--reuid={uid}", f"--regid={account.pw_gid}", "--init-groups", "--")
    found: list[Client] = []
    socket = f"{runtime}/docker.sock"
    if (program := machine.program("docker")) and os.path.exists(socket):
        where = endpoint.Endpoint(f"unix://{socket}", ("--host", f"unix://{socket}"))
        found.append(As(Docker(program, where, settings, machine.kernel, rootless=True), (*words, *who)))
    if program := machine.program("podman"):
        found.append(As(Podman(program, endpoint.podman(settings)), (*words, *who)))
    return tuple(found)
