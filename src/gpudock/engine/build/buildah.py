"""Buildah: podman's build as a program of its own, over the same images. It runs nothing else, so only `gpudock build`
knows it.
"""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gpudock.engine import detect
from gpudock.engine.base import Answer, Client
from gpudock.engine.endpoint import Endpoint
from gpudock.engine.podman import CDI_FOLDERS, Podman, numbers
from gpudock.errors import EngineError, UsageError

if TYPE_CHECKING:
    from gpudock.proc import Result

NAME = "buildah"
FIRST_CDI = (1, 36)
OVERRIDE = "CONTAINERS_CONF_OVERRIDE"  # names a file of settings that is read after all others


class Buildah(Podman):
    """As engine.podman.Podman, where it differs."""

    @property
    def name(self) -> str:
        return NAME

    @property
    def words(self) -> tuple[str, ...]:
        return (NAME,)

    def understand(self, result: "Result") -> Answer:
        words = result.out.split()  # buildah version 1.28.2 (image-spec 1.1.0-rc2, runtime-spec 1.0.2-dev)
        version = words[2] if result.ok and len(words) > 2 else ""
        problem = None if version else (result.err.strip().splitlines() or ["it does not tell its version"])[-1]
        return Answer(version, cdi=numbers(version) >= FIRST_CDI, cdi_folders=CDI_FOLDERS, problem=problem)

    def looking_in(self, folder: str, answer: Answer) -> None:
        """It cannot be told where specifications are."""

    def unusable(self, problem: str) -> EngineError:
        return EngineError("Buildah does not work.", why=problem, mend="see what this says: buildah info")


def clients(own: Mapping[str, str], machine: detect.Machine) -> tuple[Client, ...]:
    """The engines to try for a build: buildah when it is asked for, or when it is all that there is."""
    wanted = own.get("engine") or machine.environment.get(detect.VARIABLE, "")
    here = machine.program(NAME)
    if wanted == NAME:
        if "context" in own or "host" in own:
            raise UsageError("--context and --host are docker's, but the engine is buildah.", mend="leave them out")
        if here is None:
            raise EngineError("buildah is not installed.", why="no program buildah on PATH", mend="install it")
    elif wanted or here is None or any(map(machine.program, detect.NAMES)):
        return detect.clients(own, machine)
    return (Buildah(here, Endpoint("unix://")),)


def looking_in(folders: Sequence[str]) -> str:
    """A containers.conf by which builds look for CDI specifications there too; else they know /etc/cdi alone."""
    return f"[engine]\ncdi_spec_dirs = [{', '.join(map(json.dumps, folders))}, {{append=true}}]\n"


def build_words(client: Client, runtime: str | None) -> tuple[str, ...]:
    """The words up to the build's own flags. `runtime`: the OCI runtime for its steps, of podman and buildah."""
    told = ("--runtime", runtime) if runtime else ()
    return (*client.words, "build", *told) if client.name == NAME else (*client.words, *told, "build")


def inspect_words(client: Client, image: str) -> tuple[str, ...]:
    if client.name == NAME:
        return (*client.words, "inspect", "--type", "image", "--", image)
    return (*client.words, "image", "inspect", "--", image)


def inspected(text: str) -> tuple[list[object], dict[str, object]]:
    """Names of an image's layers and its settings, as inspect_words tells them. Raises what wrong shapes raise."""
    told = json.loads(text)
    if isinstance(told, dict):
        return told["OCIv1"]["rootfs"]["diff_ids"], told["OCIv1"].get("config") or {}
    return told[0]["RootFS"].get("Layers") or [], told[0]["Config"] or {}


def save_words(client: Client, image: str) -> tuple[str, ...]:
    """Write the image to standard output."""
    if client.name == NAME:
        return (*client.words, "push", "--quiet", image, "docker-archive:/dev/stdout")
    return (*client.words, "save", image)
