"""The files of a project: those that were named or are found, and those that they extend or include."""

import os
import posixpath
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from gpudock.compat.compose import document, variables
from gpudock.compat.compose.document import Document
from gpudock.errors import InputError, RefusedError
from gpudock.plan.quote import quote
from gpudock.publish import read_capped

NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
_SERVICE = re.compile(r"[a-zA-Z0-9._-]+")
_URL = ("http://", "https://", "git://", "git@", "ssh://", "github.com/", "oci://")


class NoFileError(InputError):
    """There is no compose file."""


class Part(NamedTuple):
    """One file. `folder`: what relative paths in it are relative to."""

    document: Document
    folder: str

    @property
    def services(self) -> dict[str, dict[str, Any]]:
        return (self.document.value or {}).get("services") or {}


class Project(NamedTuple):
    """`main`: the files given to compose, the later ones override. `others`: by path, what they extend or include."""

    folder: str
    main: tuple[Part, ...]
    others: dict[str, Part]
    included: tuple[str, ...]  # paths of those of `others` whose services are the project's
    variables: Mapping[str, str]

    @property
    def groups(self) -> tuple[tuple[Part, ...], ...]:
        """Files whose services are merged by name."""
        return (self.main, *((self.others[path],) for path in self.included))


def find(folder: str, candidates: tuple[str, ...] = NAMES) -> tuple[str, ...]:
    """The usual files here or in a folder above, with the override beside. Raises NoFileError."""
    here = os.path.abspath(folder)
    while True:
        names = [name for name in candidates if os.path.isfile(os.path.join(here, name))]
        if names:
            stem, extension = os.path.splitext(names[0])
            stems = (stem, "docker-compose" if stem == "compose" else "compose")
            overrides = [f"{each}.override{end}" for each in stems for end in (extension, ".yml", ".yaml")]
            beside = [name for name in overrides if os.path.isfile(os.path.join(here, name))]
            return tuple(os.path.join(here, name) for name in (names[0], *beside[:1]))
        if os.path.dirname(here) == here:
            raise NoFileError(
                "There is no compose file.",
                why="none of " + ", ".join(candidates) + " here or in a folder above",
                mend="name it: gpudock compose -f FILE ...",
            )
        here = os.path.dirname(here)


def environment(folder: str, files: tuple[str, ...], caller: Mapping[str, str]) -> dict[str, str]:
    """The caller's variables over those of the env files, or of .env. Raises InputError."""
    found: dict[str, str] = {}
    for path in files or ((os.path.join(folder, ".env"),) if os.path.isfile(os.path.join(folder, ".env")) else ()):
        found |= variables.dotenv(text(path))
    return {**found, **caller}


def text(path: str) -> str:
    """Raises InputError."""
    try:
        if path == "-":
            data = sys.stdin.buffer.read(document.LIMIT + 1)
            if len(data) > document.LIMIT:
                raise InputError("The compose file on standard input is too large.")
        else:
            data = read_capped(path, document.LIMIT)
        return data.decode().removeprefix("\ufeff").replace("\r\n", "\n")
    except RefusedError as error:
        raise InputError(f"{path} is too large for a compose file.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not text in UTF-8.", why=f"byte {error.start}") from error
    except OSError as error:
        why = os.strerror(error.errno or 0)
        kind = NoFileError if isinstance(error, FileNotFoundError) else InputError
        raise kind(f"{path} cannot be read.", why=why, mend="look at its name, and whether you may read it") from error


def parsed(name: str, content: str) -> Document:
    """A compose file, checked as far as it is looked at here. Raises InputError with line and service."""
    found = document.load(name, content)
    if found.value is None:
        raise InputError(f"{name} is empty.", mend="a compose file begins with: services:")
    if not isinstance(found.value, dict):
        raise InputError(f"{name}:1 is not a compose file.", why="it is no mapping", mend="begin it with: services:")
    services = found.value.get("services")
    if services is None:
        if "services" not in found.value and any(
            isinstance(each, dict) and ("image" in each or "build" in each) for each in found.value.values()
        ):
            raise InputError(
                f"{name} has the format of docker-compose 1.5 and before.",
                why="its services are not below `services:`",
                mend='write `version: "2.4"` and `services:` above them, and indent them',
            )
        return found
    if not isinstance(services, dict):
        raise InputError(
            f"{found.place('services')}: services must be a mapping.",
            why="it is a list" if isinstance(services, list) else f"it is {quote(str(services))}",
            mend="write `NAME:` for each service, not `- NAME:`",
        )
    for service, body in services.items():
        if not isinstance(service, str) or not _SERVICE.fullmatch(service):  # as compose programs have it
            raise InputError(
                f"{found.place('services', service)}: {quote(str(service))} is no name of a service.",
                mend="take letters, digits, points, dashes and underscores; a number has to be in quotes",
            )
        if not isinstance(body, dict):
            raise InputError(
                f"{found.place('services', service)}: service {quote(str(service))} must be a mapping.",
                why="it is empty" if body is None else f"it is {quote(str(body))}",
                mend=f"write at least `image:` below `{service}:`",
            )
    volumes = found.value.get("volumes")
    if not isinstance(volumes, (dict, type(None))):
        raise InputError(f"{found.place('volumes')}: volumes must be a mapping of names.")
    return found


def read(paths: tuple[str, ...], folder: str, found: Mapping[str, str], main: tuple[Document, ...] = ()) -> Project:
    """The project of these files, or of these documents. Raises InputError."""
    documents = main or tuple(parsed("standard input" if path == "-" else path, text(path)) for path in paths)
    parts = tuple(Part(each, folder) for each in documents)
    others: dict[str, Part] = {}
    included: list[str] = []
    waiting = list(parts)
    while waiting:
        part = waiting.pop()
        for path, base, is_include in (*_extended(part, found), *_included(part, found)):
            if path not in others:
                others[path] = Part(parsed(path, text(path)), base)
                waiting.append(others[path])
            if is_include and path not in included:
                included.append(path)
    return Project(folder, parts, others, tuple(included), found)


def _extended(part: Part, found: Mapping[str, str]) -> Iterator[tuple[str, str, bool]]:
    for service, body in part.services.items():
        extends = body.get("extends")
        name = extends.get("file") if isinstance(extends, dict) else None
        if isinstance(name, str):
            path = absolute(variables.filled(name, found), part.folder)
            if path.startswith(_URL):
                continue
            if not os.path.isfile(path):
                raise InputError(
                    f"{part.document.place('services', service, 'extends', 'file')}: "
                    f"service {service} extends {quote(name)}, which is not there.",
                    why=f"there is no file {path}",
                )
            if not any(os.path.samefile(path, each) for each in (part.document.name,) if os.path.exists(each)):
                yield path, os.path.dirname(path), False


def _included(part: Part, found: Mapping[str, str]) -> Iterator[tuple[str, str, bool]]:
    includes = (part.document.value or {}).get("include")
    for entry in includes if isinstance(includes, list) else ():
        names, base = include_entry(entry)
        for name in names:
            path = absolute(variables.filled(name, found), part.folder)
            if not path.startswith(_URL) and os.path.isfile(path):
                folder = absolute(variables.filled(base, found), part.folder) if base else os.path.dirname(path)
                yield path, folder, True


def include_entry(entry: object) -> tuple[list[str], str]:
    """The paths of an entry of `include`, and its project_directory or ""."""
    if isinstance(entry, str):
        return [entry], ""
    if not isinstance(entry, dict):
        return [], ""
    path = entry.get("path", [])
    names = [path] if isinstance(path, str) else [each for each in path if isinstance(each, str)]
    return names, str(entry.get("project_directory") or "")


def absolute(path: str, folder: str) -> str:
    if path.startswith(_URL):
        return path
    return posixpath.normpath(posixpath.join(folder, os.path.expanduser(path)))
