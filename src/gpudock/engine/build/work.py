"""One build at work: the engine's build command, run for a Dockerfile that gpudock wrote, or for the user's own."""

import os
import shutil
from collections.abc import Callable, Mapping
from typing import NamedTuple

from gpudock import proc
from gpudock.engine.base import Client
from gpudock.engine.build import source
from gpudock.engine.build.arguments import Arguments
from gpudock.engine.build.dockerfile import Dockerfile
from gpudock.engine.build.gpus import Gpus
from gpudock.engine.build.verify import Reading
from gpudock.errors import EngineError

# Held back: the image gets its names when it was looked at.
NAMING = ("tag", "iidfile")
# Only for the last part of a build in parts; a part before gets none of them.
_LAST = (*NAMING, "target", "squash", "squash-all", "metadata-file", "output", "file")


class FailedError(Exception):
    """The engine's build ended with this code, and has said why."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exit code {code}")
        self.code = code


class Tools(NamedTuple):
    """How things are done."""

    run: proc.Runner  # quiet questions
    attached: Callable[[tuple[str, ...], Mapping[str, str] | None], int]  # with the user's terminal
    show: Callable[[tuple[str, ...]], int]  # all output goes to standard error
    reading: Reading
    say: Callable[[str], None]
    environment: Mapping[str, str]


class Work(NamedTuple):
    client: Client
    arguments: Arguments
    gpus: Gpus
    tools: Tools
    folder: str  # private, for this build
    command: tuple[str, ...]  # the engine's words up to "build"
    environment: dict[str, str] | None  # for the build; None: the user's own
    cdi: bool  # the engine knows CDI

    def whole(self, file: Dockerfile | None, *flags: str) -> str:
        """Build with the user's flags; the image's id. file: None is the user's own. Raises FailedError."""
        without = NAMING if file is None else (*NAMING, "file")
        named = () if file is None else ("--file", self.write(file, file.text()))
        words = (*self.command, *self.arguments.words(*without), *flags, *named, "--iidfile", self._ids)
        code = self.tools.attached((*words, *self._context), self.environment)
        return self._built(code)

    def part(self, file: Dockerfile, text: str, *, fresh: bool = True) -> str:
        """Build a part before the last one; its image's id. fresh: --no-cache counts. Raises FailedError."""
        without = _LAST if fresh else (*_LAST, "no-cache")
        words = (*self.command, *self.arguments.words(*without), "--file", self.write(file, text))
        return self._built(self.tools.show((*words, "--iidfile", self._ids, *self._context)))

    @property
    def _ids(self) -> str:
        return os.path.join(self.folder, "id")

    @property
    def _context(self) -> tuple[str, ...]:
        return ("--", *self.arguments.contexts) if self.arguments.contexts else ()

    def write(self, file: Dockerfile, text: str) -> str:
        """A Dockerfile in the private folder, with the list of ignored files that belongs to it."""
        path = os.path.join(self.folder, "Dockerfile")
        with open(path, "w", encoding="utf-8") as target:
            target.write(text)
        ignored = source.ignore_file(file)
        if ignored:
            shutil.copyfile(ignored, path + ".dockerignore")
        return path

    def _built(self, code: int) -> str:
        if code:
            raise FailedError(code)
        try:
            with open(self._ids, encoding="ascii") as file:
                found = file.read(128).strip()
            os.unlink(self._ids)
        except (OSError, ValueError) as error:
            raise EngineError(
                "The engine does not tell which image it built.",
                why=f"its --iidfile is not there: {error}",
                mend="use a builder that puts images into the engine's own store",
            ) from error
        return found if found.startswith("sha256:") else "sha256:" + found
