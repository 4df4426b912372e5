"""Podman: CDI since 4.1. Only its version is asked for: `podman info` takes ten times as long."""

from typing import TYPE_CHECKING, NamedTuple

from gpudock.engine.base import Answer
from gpudock.engine.endpoint import Endpoint
from gpudock.errors import EngineError
from gpudock.plan.quote import quote

if TYPE_CHECKING:
    from gpudock.facts.engine import Engine
    from gpudock.proc import Result

FIRST_CDI = (4, 1)
FIRST_SPEC_DIR = (5, 5)  # knows --cdi-spec-dir
CDI_FOLDERS = ("/etc/cdi", "/var/run/cdi")


class Podman(NamedTuple):
    program: str
    endpoint: Endpoint
    rootless: bool  # the caller is not root
    spec_folder: str = ""  # where else than usual it has to look for CDI specifications

    @property
    def name(self) -> str:
        return "podman"

    @property
    def words(self) -> tuple[str, ...]:
        return ("podman", "--cdi-spec-dir", self.spec_folder) if self.spec_folder else ("podman",)

    @property
    def question(self) -> tuple[str, ...]:
        return (*self.words, "--version")

    def understand(self, result: "Result") -> Answer:
        from gpudock.facts.base import Missing  # noqa: PLC0415  start-up time: imported while podman is working
        from gpudock.facts.engine import Engine  # noqa: PLC0415  the same

        words = result.out.split()  # podman version 4.3.1
        version = words[-1] if result.ok and words else ""
        problem = None if version else (result.err.strip().splitlines() or ["it does not tell its version"])[-1]
        return Answer(
            Engine(
                name="podman",
                program=self.program,
                version=version or Missing(problem or ""),
                rootless=self.rootless,
                cdi=numbers(version) >= FIRST_CDI,
                cdi_folders=CDI_FOLDERS,
                context=self.endpoint.context or None,
                remote=self.endpoint.socket is None or bool(self.endpoint.context),
                problem=problem,
            )
        )

    def looking_in(self, folder: str, facts: "Engine") -> "Podman | None":
        """The same, with a folder of specifications named to it; None when this podman is too old for that."""
        version = facts.version if isinstance(facts.version, str) else ""
        return self._replace(spec_folder=folder) if numbers(version) >= FIRST_SPEC_DIR else None

    def unusable(self, problem: str) -> EngineError:
        return EngineError("Podman does not work.", why=quote(problem, 300), mend="see what this says: podman info")

    def without_mechanism(self, facts: "Engine") -> EngineError:
        return EngineError(
            f"Podman {facts.version} cannot give containers GPUs.",
            why="CDI came with podman 4.1",
            mend="use podman 4.1 or newer, or docker 25 or newer with CDI (--engine docker)",
        )


def numbers(version: str) -> tuple[int, ...]:
    """The first two numbers of a version: 4.3.1 and 4.3.1-dev give (4, 3)."""
    parts = version.replace("-", ".").split(".")[:2]
    return tuple(int(part) for part in parts if part.isdecimal())
