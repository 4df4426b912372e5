"""The Dockerfile of a build: where it lies, and what it says."""

import os
import sys

from gpudock.engine.build import dockerfile
from gpudock.engine.build.arguments import Arguments
from gpudock.engine.build.dockerfile import Dockerfile
from gpudock.errors import InputError, UsageError
from gpudock.plan.quote import quote

_OF_BUILDAH = ("Containerfile", "Dockerfile")
_NAMES = {"podman": _OF_BUILDAH, "buildah": _OF_BUILDAH, "docker": ("Dockerfile", "dockerfile")}


def read(arguments: Arguments, engine: str) -> Dockerfile:
    """The file that is built, for ways that change it. Raises UsageError and InputError."""
    folder = _folder(arguments, engine)
    given = arguments.values("file")
    if len(given) > 1 or (given and given[0].startswith(("http://", "https://"))) or given[:1] == ("",):
        raise UsageError(
            f"{quote(given[-1])} cannot be built with GPUs here.", why="it is not one local file", mend="give one file"
        )
    if given == ("-",):
        return dockerfile.parse(_checked(sys.stdin.buffer.read(dockerfile.LIMIT + 1), "-"), "-")
    names = given or tuple(os.path.join(folder, name) for name in _NAMES[engine])
    path = next((name for name in names if os.path.isfile(name)), names[-1] if given else names[0])
    if engine != "docker" and given and not os.path.exists(path):
        path = os.path.join(folder, given[0])  # podman looks in the context too
    try:
        with open(path, "rb") as file:
            return dockerfile.parse(_checked(file.read(dockerfile.LIMIT + 1), path), path)
    except OSError as error:
        raise InputError(f"{quote(path, 200)} cannot be read.", why=error.strerror or str(error)) from error


def _folder(arguments: Arguments, engine: str) -> str:
    contexts = arguments.contexts or (("." if engine != "docker" else ""),)
    if len(contexts) > 1 or not contexts[0]:
        took = [each.words for each in arguments.flags[-1:] if not arguments.contexts and len(each.words) == 2]
        raise UsageError(
            "The build needs one context.",
            why=f"{len(arguments.contexts)} were given"
            + "".join(f"; {quote(flag)} took {quote(value)} for its value" for flag, value in took),
            mend="gpudock build [OPTIONS] FOLDER",
        )
    if not os.path.isdir(contexts[0]):
        raise UsageError(
            f"{quote(contexts[0], 200)} cannot be the context here.",
            why="gpudock has to read the Dockerfile for this engine, so the context is a folder of this machine",
            mend="put the files into a folder",
        )
    return contexts[0]


def _checked(data: bytes, name: str) -> str:
    if len(data) > dockerfile.LIMIT:
        raise InputError(f"{quote(name, 200)} is too large for a Dockerfile.", why=f"over {dockerfile.LIMIT} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{quote(name, 200)} is not a text file.", why=str(error)) from error


def ignore_file(file: Dockerfile) -> str | None:
    """The list of ignored files that belongs to this very Dockerfile, where there is one."""
    path = file.name + ".dockerignore"
    return path if file.name != "-" and os.path.isfile(path) else None
