"""The files of a project that say which packages it needs, read into lines for pip."""

import os
import re
from collections.abc import Iterable
from typing import NamedTuple

from gpudock.env.image import conda
from gpudock.env.recipe import Recipe
from gpudock.errors import InputError
from gpudock.plan.quote import quote
from gpudock.publish import read_capped

_LIMIT = 1 << 20
_FILE = re.compile(r"^(?:-r|--requirement)(?:\s+|=)(.+)$")
_ELSEWHERE = re.compile(r"^(?:-e\b|--editable|-c\b|--constraint|\.{1,2}(/|$)|/|file:)")
_OPTION = re.compile(r"^(--?[a-z-]+)(?:[\s=]+(\S+))?$")
_OPTIONS = {  # that a lock keeps, and whether they have a value
    **dict.fromkeys(("--index-url", "--extra-index-url", "--find-links", "--only-binary", "--no-binary"), True),
    **dict.fromkeys(("--no-index", "--pre", "--prefer-binary"), False),
}
_SHORT = {"-i": "--index-url", "-f": "--find-links"}
_NAME = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)")


class Requirements(NamedTuple):
    lines: tuple[str, ...] = ()  # as pip reads them, options included
    files: dict[str, bytes] = {}  # noqa: RUF012  never changed; what was read, by path in the project
    python_version: str = ""  # that environment.yml asks for
    system: tuple[str, ...] = ()  # for apt: programs of environment.yml
    notes: tuple[str, ...] = ()


def read(recipe: Recipe, folder: str) -> Requirements:
    """Of python_requirements and conda_environment. Raises InputError."""
    files: dict[str, bytes] = {}
    lines = list(_lines(folder, recipe.python_requirements, files)) if recipe.python_requirements else []
    found = conda.Conda()
    if recipe.conda_environment:
        files[recipe.conda_environment] = data(folder, recipe.conda_environment)
        found = conda.read(files[recipe.conda_environment], recipe.conda_environment)
        lines += [*found.lines, *_of_lines(folder, recipe.conda_environment, found.pip, files)]
    file = recipe.dockerfile
    if file is not None:
        files[file.dockerfile] = data(folder, file.dockerfile)
    return Requirements(tuple(lines), files, found.python_version, found.system, found.notes)


def data(folder: str, path: str) -> bytes:
    """Raises InputError."""
    try:
        return read_capped(os.path.join(folder, path), _LIMIT)
    except OSError as error:
        raise InputError(
            f"{quote(path)} cannot be read, which gpudock.yaml names.", why=error.strerror or str(error)
        ) from error


def _lines(folder: str, path: str, files: dict[str, bytes]) -> list[str]:
    if path in files:
        return []
    files[path] = data(folder, path)
    joined = files[path].decode(errors="replace").replace("\\\n", " ")
    return _of_lines(folder, path, joined.splitlines(), files)


def _of_lines(folder: str, path: str, told: Iterable[str], files: dict[str, bytes]) -> list[str]:
    found: list[str] = []
    for number, line in enumerate(told, 1):
        text = re.sub(r"(^|\s)#.*$", "", line).strip()
        if not text:
            continue
        other = _FILE.match(text)
        if other:
            inner = os.path.normpath(os.path.join(os.path.dirname(path), other[1].strip()))
            if inner.startswith(("..", "/")):
                raise _refused(path, number, text, "it is outside of the project's folder")
            found += _lines(folder, inner, files)
        elif _ELSEWHERE.match(text):
            raise _refused(path, number, text, "the image is made without the project's folder, which is at /workspace")
        else:
            found.append(_option(path, number, text) if text.startswith("-") else text)
    return found


def _option(path: str, number: int, text: str) -> str:
    """One of pip's options, in the form --name=value. Raises InputError."""
    found = _OPTION.match(text)
    name = _SHORT.get(found[1], found[1]) if found else ""
    if found is None or name not in _OPTIONS or _OPTIONS[name] != (found[2] is not None):
        raise _refused(path, number, text, "this option is not known here")
    if re.search(r"://[^/]*@", text):
        raise _refused(path, number, name, "it has a password, which a lock would show to everybody")
    return f"{name}={found[2]}" if found[2] is not None else name


def _refused(path: str, number: int, text: str, why: str) -> InputError:
    return InputError(
        f"{quote(path)}, line {number} cannot be part of an image: {quote(text)}",
        why=why,
        mend="name packages by name and version, or a URL; install your own code at run time: pip install -e .",
    )


def names(lines: tuple[str, ...]) -> tuple[str, ...]:
    """The packages that lines name, as indexes spell them."""
    return tuple(canonical(found[1]) for line in lines if (found := _NAME.match(line)))


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
