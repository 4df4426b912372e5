"""Docker: CDI since 25 where it is switched on, else a configured runtime."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from gpudock.engine.base import Answer
from gpudock.engine.endpoint import Endpoint
from gpudock.errors import EngineError
from gpudock.plan.quote import quote

if TYPE_CHECKING:
    from gpudock.proc import Result


class Docker(NamedTuple):
    program: str
    endpoint: Endpoint
    environment: Mapping[str, str]
    kernel: str  # release of this machine's kernel
    rootless: bool = False  # the caller is not root

    @property
    def name(self) -> str:
        return "docker"

    @property
    def words(self) -> tuple[str, ...]:
        return ("docker", *self.endpoint.flags)

    @property
    def question(self) -> tuple[str, ...]:
        return (*self.words, "info", "--format", "{{json .}}")

    @property
    def beside_devices(self) -> tuple[str, ...]:
        return ()

    def understand(self, result: "Result") -> Answer:
        from gpudock.engine import docker_info  # noqa: PLC0415  start-up time: imported while docker is working

        answer = docker_info.read(result, self)
        if answer is None:
            raise EngineError(
                "The docker command of this machine is podman's imitation.",
                why="it lacks what docker tells of GPUs",
                mend="tell gpudock: --engine podman",
            )
        return answer

    def looking_in(self, folder: str, answer: Answer) -> None:
        """Only the daemon's configuration says where docker looks."""

    def unusable(self, problem: str) -> EngineError:
        path = self.endpoint.socket
        if path is None:
            return EngineError(
                f"The docker at {quote(self.endpoint.address)} does not answer.",
                why=problem,
                mend="see what this says: " + " ".join((*self.words, "info")),
            )
        if "permission denied" in problem.lower() or (os.path.exists(path) and not os.access(path, os.W_OK)):
            return EngineError(
                f"You may not use docker: {path} is not writable for you.",
                why="its users are the members of the group docker, who are as powerful as root",
                mend='sudo usermod -aG docker "$USER" and log in again, or use --engine podman, or sudo gpudock',
            )
        user = "" if path == "/var/run/docker.sock" else " (rootless: systemctl --user start docker)"
        return EngineError(
            "Docker is not running.",
            why=problem,
            mend=f"sudo systemctl start docker{user}, or use podman if it is here: --engine podman",
        )

    def without_mechanism(self, answer: Answer) -> EngineError:
        version = answer.version or "of unknown version"
        if _major(version) >= 25:
            return EngineError(
                f"Docker {version} has CDI switched off.",
                why="docker info names no CDISpecDirs, and no runtime gpudock or nvidia is configured",
                mend="sudo gpudock configure docker --restart",
            )
        return EngineError(
            f"Docker {version} cannot give containers GPUs.",
            why="it is too old for CDI, which came with docker 25, and no runtime gpudock or nvidia is configured",
            mend="sudo gpudock configure docker --restart; or docker 25 or newer, or podman: gpudock … --engine podman",
        )


def _major(version: str) -> int:
    text = version.partition(".")[0]
    return int(text) if text.isdecimal() else 0
