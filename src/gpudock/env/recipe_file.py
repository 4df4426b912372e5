"""Reads gpudock.yaml. What is wrong in it is one error with file, line, and what was meant perhaps."""

import ast
import difflib
import os
import re
from collections.abc import Iterator
from typing import Any, get_args

import msgspec
import yaml

from gpudock.env import naming
from gpudock.env.recipe import CAMERA, FORMS, FRAMEWORKS, KNOWN_SERVICES, USB, Dockerfile, Keys, Recipe, Service
from gpudock.errors import InputError
from gpudock.plan.quote import quote
from gpudock.publish import read_capped

LIMIT = 1 << 20
_DEPTH = 20
_UNKNOWN = re.compile(r"Object contains unknown field `(.*?)`(?: - at `(.*)`)?$", re.DOTALL)
_AT = re.compile(r" - at `(.*)`$")
_NULL = ("", "~", "null")
_SAID_BY_A_DOCKERFILE = (
    *("base", "python_version", "framework", "python_requirements", "python_packages", "conda_environment"),
    *("system_packages", "run"),
)
_OF_ONE_SERVICE = {"logdir": "tensorboard", "extensions": "code"}


def load(folder: str) -> Recipe:
    """The recipe of a project's folder. Raises InputError."""
    path = os.path.join(folder, naming.RECIPE_FILE)
    try:
        text = read_capped(path, LIMIT).decode()
    except FileNotFoundError as error:
        raise InputError(f"There is no {naming.RECIPE_FILE} in {folder}.", mend="write one: gpudock init") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read.", why=getattr(error, "strerror", None) or str(error)) from error
    return parse(text, path)


def parse(text: str, path: str = naming.RECIPE_FILE) -> Recipe:
    """Raises InputError."""
    document = _Document(text, path)
    try:
        recipe = msgspec.convert(document.value, Recipe, strict=False)
    except msgspec.ValidationError as error:
        raise document.misunderstood(str(error)) from error
    for keys, what, mend in _contradictions(recipe):
        raise document.error(keys, what, mend)
    return recipe


class _Document:
    """YAML whose words stay as they are written: 3.10 is no number, and `yes` no truth; types come from the recipe."""

    def __init__(self, text: str, path: str) -> None:
        self._path = path
        self._lines: dict[tuple[str, ...], int] = {}
        try:
            root = yaml.compose(text, Loader=yaml.SafeLoader) if self._plain(text) else None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            self._lines[()] = _line(mark)
            raise self.error((), " ".join(str(error.problem or error.context).split()), "mend its YAML") from error
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise self.error((), " ".join(str(error).split())[:200], "mend its YAML") from error
        self.value = self._of(root, ()) if root is not None else {}
        if self.value in ("", None):
            self.value = {}

    def _plain(self, text: str) -> bool:
        """Whether it is no more than lists and mappings of words. Raises InputError for what could grow without end."""
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent) or depth > _DEPTH:
                self._lines[()] = _line(event.start_mark)
                what = "it is nested too deeply" if depth > _DEPTH else "aliases (*) are not known here"
                raise self.error((), what, "write it out")
        return True

    def _of(self, node: yaml.Node, keys: tuple[str, ...]) -> Any:  # noqa: ANN401  YAML
        self._lines.setdefault(keys, _line(node.start_mark))
        if isinstance(node, yaml.SequenceNode):
            return [self._of(each, (*keys, str(at))) for at, each in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return None if node.style is None and node.value in _NULL else node.value
        found: dict[str, Any] = {}
        for key, value in node.value:
            name = (*keys, str(key.value))
            if not isinstance(key, yaml.ScalarNode) or name[-1] in found:
                self._lines[name] = _line(key.start_mark)
                raise self.error(name, "a key is a word, and stands there once", "remove this one")
            self._lines[name] = _line(key.start_mark)
            found[name[-1]] = self._of(value, name)
        return found

    def error(self, keys: tuple[str, ...], why: str, mend: str = "") -> InputError:
        while keys not in self._lines and keys:
            keys = keys[:-1]
        line = self._lines.get(keys, 1)
        where = f": {quote('.'.join(keys))}" if keys else ""
        return InputError(f"{self._path}, line {line} cannot be understood{where}.", why=why, mend=mend)

    def misunderstood(self, said: str) -> InputError:
        """msgspec's error in the words of the file."""
        unknown = _UNKNOWN.match(said)
        if unknown:
            keys = (*self._keys(unknown[2] or ""), unknown[1])
            return self.error(keys, f"there is no key {quote(unknown[1])} here", _meant(unknown[1]))
        at = _AT.search(said)
        keys = self._keys(at[1] if at else "")
        why = _AT.sub("", said).replace("`", "")
        pattern = re.search(r"matching regex ('.*')$", why)
        if pattern:
            why = f"it is not {FORMS[ast.literal_eval(pattern[1])]}"
        mend = "give it, or leave the key out" if why.endswith("got null") else ""
        return self.error(keys, why[:1].lower() + why[1:], mend)

    def _keys(self, path: str) -> tuple[str, ...]:
        """The way to "$.services[...].port": where a key is not told, the only one that has what follows."""
        keys = [word or index for word, index in re.findall(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]", path)]
        if "..." in keys:
            at = keys.index("...")
            here = [found[at] for found in self._lines if len(found) == at + 1 and found[:at] == tuple(keys[:at])]
            keys = keys[:at] if len(here) != 1 else [*keys[:at], here[0], *keys[at + 1 :]]
        return tuple(keys)


def _line(mark: Any) -> int:  # noqa: ANN401  PyYAML's
    return int(mark.line) + 1 if mark else 1


def _meant(key: str) -> str:
    """The nearest key, and where it stands."""
    places = dict(_places(Recipe, ""))
    close = difflib.get_close_matches(key, places, n=1)
    if not close:
        return "see docs/environments.md for the keys"
    where = places[close[0]]
    return f"did you mean {close[0]}" + (f", below {where}?" if where else "?")


def _places(kind: type[Keys], where: str) -> Iterator[tuple[str, str]]:
    """Every key, and below which it stands. The file's own come last, and win."""
    for field in msgspec.structs.fields(kind):
        for inner in _kinds(field.type):
            yield from _places(inner, f"{where}.{field.encode_name}".strip("."))
    for field in msgspec.structs.fields(kind):
        yield field.encode_name, where


def _kinds(hint: Any) -> Iterator[type[Keys]]:  # noqa: ANN401  a type as it is written
    if isinstance(hint, type) and issubclass(hint, Keys):
        yield hint
    for inner in get_args(hint):
        yield from _kinds(inner)


def _contradictions(recipe: Recipe) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """What types do not tell: key, what is wrong, and how to mend it."""
    if isinstance(recipe.framework, dict) and len(recipe.framework) != 1:
        yield ("framework",), "it takes one framework", 'framework: {pytorch: "2.12"}, more by python_packages'
    elif recipe.framework_name and recipe.framework_name not in FRAMEWORKS:
        close = difflib.get_close_matches(recipe.framework_name, FRAMEWORKS, n=1)
        known = f"did you mean {close[0]}?" if close else f"use {', '.join(FRAMEWORKS)} or none"
        yield ("framework",), f"{quote(recipe.framework_name)} is not known", known
    for key in _SAID_BY_A_DOCKERFILE if recipe.from_ else ():
        if getattr(recipe, key):
            yield ("from",), f"your own Dockerfile says what is in the image, and not {key}", f"leave {key} or from out"
    yield from _paths(recipe)
    for name, secret in recipe.secrets.items():
        if bool(secret.file) == bool(secret.environment):
            yield ("secrets", name), "a secret is either a file or a variable", "give one: file or environment"
    for name, service in recipe.served.items():
        yield from _service(name, service)
    for at, device in enumerate(recipe.devices):
        if not device.startswith("/dev/") and device not in {CAMERA, USB}:
            yield ("devices", str(at)), f"{quote(device)} is no device", "camera, usb, or a path below /dev"


def _service(name: str, service: Service) -> Iterator[tuple[tuple[str, ...], str, str]]:
    keys = ("services", name)
    if not re.fullmatch("[a-z][a-z0-9-]{0,30}", name):
        yield keys, f"{quote(name)} cannot be a service's name", "use lower case letters, digits and hyphens"
    if name not in KNOWN_SERVICES:
        close = difflib.get_close_matches(name, KNOWN_SERVICES, n=1)
        if not service.command or not service.port:
            hint = f"did you mean {close[0]}? " if close else ""
            yield keys, f"{quote(name)} needs command and port", hint + "known by name: " + ", ".join(KNOWN_SERVICES)
    for key, owner in _OF_ONE_SERVICE.items():
        if name != owner and getattr(service, key):
            yield (*keys, key), f"{key} belongs to {owner}", f"move it to services.{owner}"


def _paths(recipe: Recipe) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Files that become part of the image lie in the project's folder: nothing else is needed to build it."""
    named = {key: getattr(recipe, key) for key in ("python_requirements", "conda_environment")}
    file = recipe.dockerfile or Dockerfile()
    for key, path in (*named.items(), ("from", file.dockerfile), ("from", file.context)):
        if path.startswith("/") or ".." in path.split("/"):
            yield (key,), f"{quote(path)} is outside of the project's folder", "put the file into it"
