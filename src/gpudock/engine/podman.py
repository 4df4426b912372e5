"""Podman: CDI since 4.1. Only its version is asked for: `podman info` takes ten times as long."""

from typing import TYPE_CHECKING, NamedTuple

from gpudock.engine.base import Answer
from gpudock.engine.endpoint import Endpoint
from gpudock.errors import EngineError
from gpudock.plan.quote import quote

if TYPE_CHECKING:
    from gpudock.proc import Result

FIRST_CDI = (4, 1)
FIRST_SPEC_DIR = (5, 5)  # knows --cdi-spec-dir
CDI_FOLDERS = ("/etc/cdi", "/var/run/cdi")


class Podman(NamedTuple):
    program: str
    endpoint: Endpoint
    spec_folder: str = ""  # where else than usual it has to look for CDI specifications

    @property
    def name(self) -> str:
        return "podman"

    @property
    def words(self) -> tuple[str, ...]:
        # Naming one folder makes podman forget the usual ones, where other devices may be defined.
        folders = (*CDI_FOLDERS, self.spec_folder) if self.spec_folder else ()
        return ("podman", *(f"--cdi-spec-dir={folder}" for folder in folders))

    @property
    def question(self) -> tuple[str, ...]:
        return (*self.words, "--version")

    @property
    def beside_devices(self) -> tuple[str, ...]:
        # crun sends what hooks say to /dev/null: a user would see nothing but an exit code. runc takes no notice.
        return ("--annotation", "run.oci.hooks.stderr=/dev/stderr")

    def understand(self, result: "Result") -> Answer:
        words = result.out.split()  # podman version 4.3.1
        version = words[-1] if result.ok and words else ""
        lines = result.err.strip().splitlines()
        return Answer(
            version=version,
            cdi=numbers(version) >= FIRST_CDI,
            cdi_folders=CDI_FOLDERS,
            remote=self.endpoint.socket is None or bool(self.endpoint.context),
            problem=None if version else (lines or ["it does not tell its version"])[-1],
        )

    def looking_in(self, folder: str, answer: Answer) -> "Podman | None":
        """The same, with a folder of specifications named to it; None when this podman is too old for that."""
        return self._replace(spec_folder=folder) if numbers(answer.version) >= FIRST_SPEC_DIR else None

    def unusable(self, problem: str) -> EngineError:
        return EngineError("Podman does not work.", why=quote(problem, 300), mend="see what this says: podman info")

    def without_mechanism(self, answer: Answer) -> EngineError:
        return EngineError(
            f"Podman {answer.version} cannot give containers GPUs.",
            why="CDI came with podman 4.1",
            mend="use podman 4.1 or newer, or docker 25 or newer with CDI (--engine docker)",
        )


def numbers(version: str) -> tuple[int, ...]:
    """The first two numbers of a version: 4.3.1 and 4.3.1-dev give (4, 3)."""
    parts = version.replace("-", ".").split(".")[:2]
    return tuple(int(part) for part in parts if part.isdecimal())
